/* Hashes of applications in PHP: phpass as WordPress, phpBB and Drupal have it, and WordPress' bcrypt. */
#include "session/password.h"
#include "session/password_digest.h"
#include "session/password_forms.h"

#include <openssl/hmac.h>
#include <sodium.h>
#include <string.h>

#define PHPASS_PREFIX_LENGTH 3 /* "$P$" */
#define PHPASS_SALT_LENGTH   8
#define PHPASS_LOG2_MIN      7
#define PHPASS_LOG2_MAX      19
/* Each round goes through the password: of a long one, fewer are looked at. */
#define PHPASS_WORK_MAX (UINT64_C(1) << 26)
/* Before the hash: prefix, rounds, salt. */
#define PHPASS_SETTING_LENGTH (PHPASS_PREFIX_LENGTH + 1 + PHPASS_SALT_LENGTH)
#define PHPASS_HASH_MAX       43

#define WORDPRESS_BCRYPT "$wp"

/* What phpass is made of: the MD5 of WordPress ($P$) and phpBB ($H$), the SHA-512 of Drupal 7 ($S$). */
struct phpass {
	const char *digest;
	size_t digest_size;
	size_t hash_length; /* Drupal cuts it off */
};

static const struct phpass md5 = {"MD5", 16, 22}, sha512 = {"SHA512", 64, PHPASS_HASH_MAX};

static const struct phpass *phpass_of(const char *hash)
{
	return hash[1] == 'S' ? &sha512 : &md5;
}

const char *password_phpass_problem(const char *hash)
{
	int log2 = password_crypt64_digit(hash[PHPASS_PREFIX_LENGTH]);

	if (strlen(hash) != PHPASS_SETTING_LENGTH + phpass_of(hash)->hash_length ||
	    strspn(hash + PHPASS_SETTING_LENGTH, PASSWORD_CRYPT64) != phpass_of(hash)->hash_length ||
	    log2 < PHPASS_LOG2_MIN)
		return PASSWORD_IS_MALFORMED;
	return log2 > PHPASS_LOG2_MAX ? PASSWORD_IS_COSTLY("phpass with 2 to the power of 19 rounds") : NULL;
}

static bool phpass_is_right(const char *hash, const char *password)
{
	const struct phpass *phpass = phpass_of(hash);
	uint32_t rounds = UINT32_C(1) << password_crypt64_digit(hash[PHPASS_PREFIX_LENGTH]);
	size_t length = strlen(password);
	struct digest digest;
	uint8_t bytes[EVP_MAX_MD_SIZE];
	char made[PHPASS_HASH_MAX];
	bool right;

	if ((uint64_t)rounds * length > PHPASS_WORK_MAX || !digest_open(&digest, phpass->digest))
		return false;
	digest_begin(&digest);
	digest_add(&digest, hash + PHPASS_PREFIX_LENGTH + 1, PHPASS_SALT_LENGTH);
	digest_add(&digest, password, length);
	digest_end(&digest, bytes);
	for (uint32_t round = 0; round < rounds; round++) {
		digest_begin(&digest);
		digest_add(&digest, bytes, phpass->digest_size);
		digest_add(&digest, password, length);
		digest_end(&digest, bytes);
	}
	password_write_crypt64_bytes(made, phpass->hash_length, bytes, phpass->digest_size);
	right = digest_close(&digest) && sodium_memcmp(made, hash + PHPASS_SETTING_LENGTH, phpass->hash_length) == 0;
	sodium_memzero(bytes, sizeof bytes);
	sodium_memzero(made, sizeof made);
	return right;
}

/* ---- WordPress ---------------------------------------------------------------------------------------------- */

#define WORDPRESS_PASSWORD_SIZE (2 * PASSWORD_MAX + 1)
/* It may be computed twice. */
#define WORDPRESS_BCRYPT_COST_MAX 13

/*
 * WordPress takes white space off a password, and puts a backslash before each quote and backslash of one that comes
 * through its forms: so is what it hashes. Some of its plugins, and its own installation, leave the backslashes out.
 */
static void write_as_wordpress(const char *password, bool has_slashes, char written[WORDPRESS_PASSWORD_SIZE])
{
	static const char space[] = " \t\n\r\v";
	size_t length;

	password += strspn(password, space);
	length = strnlen(password, PASSWORD_MAX);
	while (length > 0 && strchr(space, password[length - 1]) != NULL)
		length--;
	for (size_t i = 0; i < length; i++) {
		if (has_slashes && strchr("'\"\\", password[i]) != NULL)
			*written++ = '\\';
		*written++ = password[i];
	}
	*written = '\0';
}

/* Is it right without the white space, or with the backslashes, where there are any to be had? */
static bool is_right_as_wordpress(const char *hash, const char *password,
                                  bool (*is_right)(const char *hash, const char *password))
{
	char plain[WORDPRESS_PASSWORD_SIZE], slashed[WORDPRESS_PASSWORD_SIZE];
	bool right;

	write_as_wordpress(password, false, plain);
	write_as_wordpress(password, true, slashed);
	right = is_right(hash, plain) || (strcmp(plain, slashed) != 0 && is_right(hash, slashed));
	sodium_memzero(plain, sizeof plain);
	sodium_memzero(slashed, sizeof slashed);
	return right;
}

/* The form does not say whether it is WordPress'. */
bool password_phpass_verify(const char *hash, const char *password)
{
	static const char marks[] = " \t\n\r\v'\"\\";

	return phpass_is_right(hash, password) || (hash[1] == 'P' && strpbrk(password, marks) != NULL &&
	                                           is_right_as_wordpress(hash, password, phpass_is_right));
}

const char *password_wordpress_problem(const char *hash)
{
	const char *bcrypt = hash + strlen(WORDPRESS_BCRYPT);

	if (strncmp(bcrypt, "$2y$", 4) != 0 || password_bcrypt_cost(bcrypt) == 0)
		return PASSWORD_IS_MALFORMED;
	return password_bcrypt_cost(bcrypt) > WORDPRESS_BCRYPT_COST_MAX
	               ? PASSWORD_IS_COSTLY("WordPress' bcrypt with cost 13")
	               : NULL;
}

/* bcrypt's password is a digest (wp_hash_password() of WordPress 6.8), so that all of a long one counts. */
static bool bcrypt_is_right(const char *hash, const char *password)
{
	static const char key[] = "wp-sha384";
	uint8_t digest[EVP_MAX_MD_SIZE];
	char base64[sodium_base64_ENCODED_LEN(sizeof digest, sodium_base64_VARIANT_ORIGINAL)];
	unsigned size = 0;
	bool right = false;

	if (HMAC(EVP_sha384(), key, sizeof key - 1, (const unsigned char *)password, strlen(password), digest, &size) !=
	    NULL) {
		(void)sodium_bin2base64(base64, sizeof base64, digest, size, sodium_base64_VARIANT_ORIGINAL);
		right = password_crypt_verify(hash + strlen(WORDPRESS_BCRYPT), base64);
	}
	sodium_memzero(digest, sizeof digest);
	sodium_memzero(base64, sizeof base64);
	return right;
}

bool password_wordpress_verify(const char *hash, const char *password)
{
	return is_right_as_wordpress(hash, password, bcrypt_is_right);
}
