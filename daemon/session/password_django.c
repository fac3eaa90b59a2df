/* Hashes in Django's forms: pbkdf2_sha256, pbkdf2_sha1, bcrypt_sha256, bcrypt. */
#include "session/password_forms.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

/* Django's own number grows by a fifth a year, to 1200000 in 2025. */
#define PBKDF2_ITERATIONS_MAX 2000000
#define PBKDF2_SALT_MAX       128
#define PBKDF2_SHA1_PREFIX    "pbkdf2_sha1$"
#define PBKDF2_SHA256_PREFIX  "pbkdf2_sha256$"
#define BCRYPT_PREFIX         "bcrypt$"
#define BCRYPT_SHA256_PREFIX  "bcrypt_sha256$"

#define SHA1_SIZE   20
#define SHA256_SIZE 32

/* "pbkdf2_sha256$ITERATIONS$SALT$BASE64", taken apart. */
struct pbkdf2 {
	bool is_sha1;
	uint32_t iterations;
	const char *salt;
	size_t salt_length;
	uint8_t digest[SHA256_SIZE];
	size_t digest_size;
};

static bool parse(const char *hash, struct pbkdf2 *pbkdf2)
{
	const char *at;
	size_t decoded;

	pbkdf2->is_sha1 = strncmp(hash, PBKDF2_SHA1_PREFIX, strlen(PBKDF2_SHA1_PREFIX)) == 0;
	pbkdf2->digest_size = pbkdf2->is_sha1 ? SHA1_SIZE : SHA256_SIZE;
	at = hash + strlen(pbkdf2->is_sha1 ? PBKDF2_SHA1_PREFIX : PBKDF2_SHA256_PREFIX);
	if (!password_number(&at, '$', &pbkdf2->iterations) || pbkdf2->iterations == 0)
		return false;
	pbkdf2->salt = at;
	pbkdf2->salt_length = strcspn(at, "$");
	if (pbkdf2->salt_length == 0 || pbkdf2->salt_length > PBKDF2_SALT_MAX || at[pbkdf2->salt_length] != '$')
		return false;
	at += pbkdf2->salt_length + 1;
	return sodium_base642bin(pbkdf2->digest, pbkdf2->digest_size, at, strlen(at), NULL, &decoded, NULL,
	                         sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       decoded == pbkdf2->digest_size;
}

const char *password_pbkdf2_problem(const char *hash)
{
	struct pbkdf2 pbkdf2;

	if (!parse(hash, &pbkdf2))
		return PASSWORD_IS_MALFORMED;
	if (pbkdf2.iterations <= PBKDF2_ITERATIONS_MAX)
		return NULL;
	return pbkdf2.is_sha1 ? PASSWORD_IS_COSTLY("pbkdf2_sha1 with 2000000 iterations")
	                      : PASSWORD_IS_COSTLY("pbkdf2_sha256 with 2000000 iterations");
}

bool password_pbkdf2_verify(const char *hash, const char *password)
{
	struct pbkdf2 pbkdf2;
	uint8_t digest[SHA256_SIZE];
	bool right;

	if (!parse(hash, &pbkdf2))
		return false;
	right = PKCS5_PBKDF2_HMAC(password, (int)strlen(password), (const unsigned char *)pbkdf2.salt,
	                          (int)pbkdf2.salt_length, (int)pbkdf2.iterations,
	                          pbkdf2.is_sha1 ? EVP_sha1() : EVP_sha256(), (int)pbkdf2.digest_size, digest) == 1 &&
	        sodium_memcmp(digest, pbkdf2.digest, pbkdf2.digest_size) == 0;
	sodium_memzero(digest, sizeof digest);
	return right;
}

static const char *bcrypt_problem(const char *bcrypt)
{
	if (strncmp(bcrypt, "$2b$", 4) != 0 && strncmp(bcrypt, "$2a$", 4) != 0 && strncmp(bcrypt, "$2y$", 4) != 0)
		return PASSWORD_IS_MALFORMED;
	return password_bcrypt_problem(bcrypt);
}

const char *password_django_bcrypt_problem(const char *hash)
{
	return bcrypt_problem(hash + strlen(BCRYPT_PREFIX));
}

bool password_django_bcrypt_verify(const char *hash, const char *password)
{
	return password_crypt_verify(hash + strlen(BCRYPT_PREFIX), password);
}

const char *password_bcrypt_sha256_problem(const char *hash)
{
	return bcrypt_problem(hash + strlen(BCRYPT_SHA256_PREFIX));
}

/* bcrypt's password is the digest in hexadecimal, so that all of a long one counts. */
bool password_bcrypt_sha256_verify(const char *hash, const char *password)
{
	uint8_t digest[crypto_hash_sha256_BYTES];
	char hex[2 * sizeof digest + 1];
	bool right;

	(void)crypto_hash_sha256(digest, (const unsigned char *)password, strlen(password));
	(void)sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
	right = password_crypt_verify(hash + strlen(BCRYPT_SHA256_PREFIX), hex);
	sodium_memzero(digest, sizeof digest);
	sodium_memzero(hex, sizeof hex);
	return right;
}
