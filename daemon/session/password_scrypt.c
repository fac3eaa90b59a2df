/* Hashes by scrypt (RFC 7914): the PHC string format as passlib writes it, Django's, and crypt(5)'s. */
#include "session/password_forms.h"

#include <sodium.h>
#include <string.h>

#define PHC_PREFIX    "$scrypt$"
#define DJANGO_PREFIX "scrypt$"
#define CRYPT_PREFIX  "$7$"

/* N blocks of R times 128 bytes are what it takes in memory, and it goes through them P times. */
#define BLOCK_BYTES 128
#define MEMORY_MAX  (UINT64_C(128) * 1024 * 1024)
#define WORK_MAX    (2 * MEMORY_MAX)
#define LOG2_N_MAX  24 /* below what the others allow, so that nothing overflows */
#define R_MAX       64
#define P_MAX       64
#define IS_COSTLY   PASSWORD_IS_COSTLY("scrypt with 128 MiB, or 256 MiB in all passes, and 64 for r and p")

#define SALT_MAX          128
#define DIGEST_MIN        32
#define DIGEST_MAX        64
#define CRYPT_DIGITS      5 /* of R and P */
#define CRYPT_HASH_LENGTH 43
#define CRYPT_DIGEST_SIZE 32

struct scrypt {
	uint64_t n;
	uint32_t r, p;
	uint8_t salt[SALT_MAX];
	size_t salt_length;
	uint8_t digest[DIGEST_MAX];
	size_t digest_length;
};

static const char *cost_problem(const struct scrypt *scrypt)
{
	if (scrypt->n < 2 || (scrypt->n & (scrypt->n - 1)) != 0 || scrypt->r == 0 || scrypt->p == 0)
		return PASSWORD_IS_MALFORMED;
	if (scrypt->n > UINT64_C(1) << LOG2_N_MAX || scrypt->r > R_MAX || scrypt->p > P_MAX ||
	    BLOCK_BYTES * scrypt->n * scrypt->r > MEMORY_MAX ||
	    BLOCK_BYTES * scrypt->n * scrypt->r * scrypt->p > WORK_MAX)
		return IS_COSTLY;
	return NULL;
}

static bool take_base64(uint8_t *bytes, size_t room, const char *text, size_t text_length, int variant, size_t *length)
{
	return text_length > 0 && sodium_base642bin(bytes, room, text, text_length, NULL, length, NULL, variant) == 0;
}

static bool compute(const struct scrypt *scrypt, const char *password, uint8_t *digest, size_t length)
{
	return crypto_pwhash_scryptsalsa208sha256_ll((const uint8_t *)password, strlen(password), scrypt->salt,
	                                             scrypt->salt_length, scrypt->n, scrypt->r, scrypt->p, digest,
	                                             length) == 0;
}

static bool is_right(const struct scrypt *scrypt, const char *password)
{
	uint8_t digest[DIGEST_MAX];
	bool right = compute(scrypt, password, digest, scrypt->digest_length) &&
	             sodium_memcmp(digest, scrypt->digest, scrypt->digest_length) == 0;

	sodium_memzero(digest, sizeof digest);
	return right;
}

/* ---- "$scrypt$ln=16,r=8,p=1$SALT$HASH": Base64 without padding, and the binary logarithm of N ---------------- */

static bool parse_phc(const char *hash, struct scrypt *scrypt)
{
	const char *at = hash + strlen(PHC_PREFIX);
	uint32_t log2_n;
	size_t length;

	if (strncmp(at, "ln=", 3) != 0)
		return false;
	at += 3;
	if (!password_number(&at, ',', &log2_n) || strncmp(at, "r=", 2) != 0)
		return false;
	at += 2;
	if (!password_number(&at, ',', &scrypt->r) || strncmp(at, "p=", 2) != 0)
		return false;
	at += 2;
	if (!password_number(&at, '$', &scrypt->p) || log2_n == 0)
		return false;
	scrypt->n = UINT64_C(1) << (log2_n > LOG2_N_MAX ? LOG2_N_MAX + 1 : log2_n);
	length = strcspn(at, "$");
	if (at[length] != '$' || !take_base64(scrypt->salt, sizeof scrypt->salt, at, length,
	                                      sodium_base64_VARIANT_ORIGINAL_NO_PADDING, &scrypt->salt_length))
		return false;
	at += length + 1;
	return take_base64(scrypt->digest, sizeof scrypt->digest, at, strlen(at),
	                   sodium_base64_VARIANT_ORIGINAL_NO_PADDING, &scrypt->digest_length) &&
	       scrypt->digest_length >= DIGEST_MIN;
}

const char *password_scrypt_problem(const char *hash)
{
	struct scrypt scrypt;

	return parse_phc(hash, &scrypt) ? cost_problem(&scrypt) : PASSWORD_IS_MALFORMED;
}

bool password_scrypt_verify(const char *hash, const char *password)
{
	struct scrypt scrypt;

	return parse_phc(hash, &scrypt) && is_right(&scrypt, password);
}

/* ---- Django: "scrypt$N$SALT$R$P$BASE64", the salt as it is --------------------------------------------------- */

static bool parse_django(const char *hash, struct scrypt *scrypt)
{
	const char *at = hash + strlen(DJANGO_PREFIX);
	uint32_t n;

	if (!password_number(&at, '$', &n))
		return false;
	scrypt->n = n;
	scrypt->salt_length = strcspn(at, "$");
	if (scrypt->salt_length == 0 || scrypt->salt_length > sizeof scrypt->salt || at[scrypt->salt_length] != '$')
		return false;
	memcpy(scrypt->salt, at, scrypt->salt_length);
	at += scrypt->salt_length + 1;
	return password_number(&at, '$', &scrypt->r) && password_number(&at, '$', &scrypt->p) &&
	       take_base64(scrypt->digest, sizeof scrypt->digest, at, strlen(at), sodium_base64_VARIANT_ORIGINAL,
	                   &scrypt->digest_length) &&
	       scrypt->digest_length == DIGEST_MAX;
}

const char *password_django_scrypt_problem(const char *hash)
{
	struct scrypt scrypt;

	return parse_django(hash, &scrypt) ? cost_problem(&scrypt) : PASSWORD_IS_MALFORMED;
}

bool password_django_scrypt_verify(const char *hash, const char *password)
{
	struct scrypt scrypt;

	return parse_django(hash, &scrypt) && is_right(&scrypt, password);
}

/* ---- crypt(5), libsodium: "$7$NRRRRRPPPPPSALT$HASH", the salt as it is ---------------------------------------- */

/* The lowest digit comes first. */
static bool take_crypt_number(const char **at, uint32_t *number)
{
	*number = 0;
	for (int i = 0; i < CRYPT_DIGITS; i++) {
		int digit = password_crypt64_digit((*at)[i]);

		if (digit < 0)
			return false;
		*number |= (uint32_t)digit << (6 * i);
	}
	*at += CRYPT_DIGITS;
	return true;
}

/* The hash stays as it is written. */
static bool parse_crypt(const char *hash, struct scrypt *scrypt, const char **written)
{
	const char *at = hash + strlen(CRYPT_PREFIX);
	int log2_n = password_crypt64_digit(*at);

	if (log2_n < 1)
		return false;
	at++;
	scrypt->n = UINT64_C(1) << log2_n;
	if (!take_crypt_number(&at, &scrypt->r) || !take_crypt_number(&at, &scrypt->p))
		return false;
	scrypt->salt_length = strcspn(at, "$");
	if (scrypt->salt_length == 0 || scrypt->salt_length > sizeof scrypt->salt || at[scrypt->salt_length] != '$')
		return false;
	memcpy(scrypt->salt, at, scrypt->salt_length);
	*written = at + scrypt->salt_length + 1;
	return strlen(*written) == CRYPT_HASH_LENGTH && strspn(*written, PASSWORD_CRYPT64) == CRYPT_HASH_LENGTH;
}

const char *password_crypt_scrypt_problem(const char *hash)
{
	struct scrypt scrypt;
	const char *written;

	return parse_crypt(hash, &scrypt, &written) ? cost_problem(&scrypt) : PASSWORD_IS_MALFORMED;
}

bool password_crypt_scrypt_verify(const char *hash, const char *password)
{
	struct scrypt scrypt;
	const char *written;
	uint8_t digest[CRYPT_DIGEST_SIZE];
	char made[CRYPT_HASH_LENGTH];
	bool right;

	if (!parse_crypt(hash, &scrypt, &written) || !compute(&scrypt, password, digest, sizeof digest))
		return false;
	password_write_crypt64_bytes(made, sizeof made, digest, sizeof digest);
	right = sodium_memcmp(made, written, sizeof made) == 0;
	sodium_memzero(digest, sizeof digest);
	sodium_memzero(made, sizeof made);
	return right;
}
