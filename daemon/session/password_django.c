/* Hashes in Django's forms: pbkdf2_sha256, bcrypt_sha256. */
#include "session/password_forms.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

/* Django's own number grows by a fifth a year, to 1200000 in 2025. */
#define PBKDF2_ITERATIONS_MAX 2000000
#define PBKDF2_SALT_MAX       128
#define PBKDF2_PREFIX         "pbkdf2_sha256$"
#define BCRYPT_SHA256_PREFIX  "bcrypt_sha256$"

#define DIGEST_SIZE 32 /* of SHA-256 */

/* "pbkdf2_sha256$ITERATIONS$SALT$BASE64", taken apart. */
struct pbkdf2 {
	uint32_t iterations;
	const char *salt;
	size_t salt_length;
	uint8_t digest[DIGEST_SIZE];
};

static bool parse(const char *hash, struct pbkdf2 *pbkdf2)
{
	const char *at = hash + strlen(PBKDF2_PREFIX);
	size_t decoded;

	if (!password_number(&at, '$', &pbkdf2->iterations) || pbkdf2->iterations == 0)
		return false;
	pbkdf2->salt = at;
	pbkdf2->salt_length = strcspn(at, "$");
	if (pbkdf2->salt_length == 0 || pbkdf2->salt_length > PBKDF2_SALT_MAX || at[pbkdf2->salt_length] != '$')
		return false;
	at += pbkdf2->salt_length + 1;
	return sodium_base642bin(pbkdf2->digest, sizeof pbkdf2->digest, at, strlen(at), NULL, &decoded, NULL,
	                         sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       decoded == sizeof pbkdf2->digest;
}

const char *password_pbkdf2_problem(const char *hash)
{
	struct pbkdf2 pbkdf2;

	if (!parse(hash, &pbkdf2))
		return PASSWORD_IS_MALFORMED;
	return pbkdf2.iterations > PBKDF2_ITERATIONS_MAX ? PASSWORD_IS_COSTLY("pbkdf2_sha256 with 2000000 iterations")
	                                                 : NULL;
}

bool password_pbkdf2_verify(const char *hash, const char *password)
{
	struct pbkdf2 pbkdf2;
	uint8_t digest[DIGEST_SIZE];
	bool right;

	if (!parse(hash, &pbkdf2))
		return false;
	right = PKCS5_PBKDF2_HMAC(password, (int)strlen(password), (const unsigned char *)pbkdf2.salt,
	                          (int)pbkdf2.salt_length, (int)pbkdf2.iterations, EVP_sha256(), sizeof digest,
	                          digest) == 1 &&
	        sodium_memcmp(digest, pbkdf2.digest, sizeof digest) == 0;
	sodium_memzero(digest, sizeof digest);
	return right;
}

const char *password_bcrypt_sha256_problem(const char *hash)
{
	const char *bcrypt = hash + strlen(BCRYPT_SHA256_PREFIX);

	if (strncmp(bcrypt, "$2b$", 4) != 0 && strncmp(bcrypt, "$2a$", 4) != 0 && strncmp(bcrypt, "$2y$", 4) != 0)
		return PASSWORD_IS_MALFORMED;
	return password_bcrypt_problem(bcrypt);
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
