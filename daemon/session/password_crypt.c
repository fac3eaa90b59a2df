/* Hashes in crypt(5)'s forms: bcrypt, SHA-512 and SHA-256, yescrypt. */
#include "session/password_forms.h"

#include <crypt.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define BCRYPT_COST_MIN    4
#define BCRYPT_COST_MAX    14
#define SHA_ROUNDS_MIN     1000
#define SHA_ROUNDS_DEFAULT 5000
/* passlib makes 656000. */
#define SHA_ROUNDS_MAX UINT32_C(700000)
/* A round goes through the password twice: a long one is looked at when there are fewer of them. */
#define SHA_WORK_MAX        (SHA_ROUNDS_MAX * UINT64_C(128))
#define YESCRYPT_MEMORY_MAX (UINT64_C(128) * 1024 * 1024)

/* The characters in the order of the numbers that they are. */
#define CRYPT64_DIGITS "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

#define BCRYPT_PREFIX_LENGTH   4  /* "$2y$" */
#define BCRYPT_REST_LENGTH     53 /* salt and hash */
#define SHA_SALT_MAX           16
#define SHA512_HASH_LENGTH     86
#define SHA256_HASH_LENGTH     43
#define YESCRYPT_SALT_MAX      86
#define YESCRYPT_HASH_LENGTH   43
#define YESCRYPT_LOG2_N_MIN    10
#define YESCRYPT_LOG2_N_MAX    18
#define YESCRYPT_BLOCK_BYTES   128
#define YESCRYPT_PARAM_DEFAULT 'j' /* the flags that crypt_gensalt(3) gives, the only ones that are in use */

static bool is_base64(const char *text, size_t length)
{
	return strlen(text) == length && strspn(text, PASSWORD_CRYPT64) == length;
}

int password_bcrypt_cost(const char *hash)
{
	const char *at = hash + BCRYPT_PREFIX_LENGTH;
	int cost;

	if (strspn(at, "0123456789") != 2 || at[2] != '$' || !is_base64(at + 3, BCRYPT_REST_LENGTH))
		return 0;
	cost = (at[0] - '0') * 10 + (at[1] - '0');
	return cost >= BCRYPT_COST_MIN ? cost : 0;
}

const char *password_bcrypt_problem(const char *hash)
{
	int cost = password_bcrypt_cost(hash);

	if (cost == 0)
		return PASSWORD_IS_MALFORMED;
	return cost > BCRYPT_COST_MAX ? PASSWORD_IS_COSTLY("bcrypt with cost 14") : NULL;
}

/* "$6$SALT$HASH" or "$6$rounds=ROUNDS$SALT$HASH", and the same with a 5 */
static bool parse_sha(const char *hash, uint32_t *rounds)
{
	static const char rounds_prefix[] = "rounds=";
	const char *at = hash + strlen("$6$");
	size_t salt_length;

	*rounds = SHA_ROUNDS_DEFAULT;
	if (strncmp(at, rounds_prefix, strlen(rounds_prefix)) == 0) {
		at += strlen(rounds_prefix);
		if (!password_number(&at, '$', rounds) || *rounds < SHA_ROUNDS_MIN)
			return false;
	}
	salt_length = strcspn(at, "$");
	return salt_length <= SHA_SALT_MAX && at[salt_length] == '$' &&
	       is_base64(at + salt_length + 1, hash[1] == '6' ? SHA512_HASH_LENGTH : SHA256_HASH_LENGTH);
}

const char *password_sha_crypt_problem(const char *hash)
{
	uint32_t rounds;

	if (!parse_sha(hash, &rounds))
		return PASSWORD_IS_MALFORMED;
	if (rounds <= SHA_ROUNDS_MAX)
		return NULL;
	return hash[1] == '6' ? PASSWORD_IS_COSTLY("SHA-512 crypt with 700000 rounds")
	                      : PASSWORD_IS_COSTLY("SHA-256 crypt with 700000 rounds");
}

int password_crypt64_digit(char c)
{
	const char *found = c != '\0' ? strchr(CRYPT64_DIGITS, c) : NULL;

	return found != NULL ? (int)(found - CRYPT64_DIGITS) : -1;
}

void password_write_crypt64(char *to, size_t count, uint32_t value)
{
	for (size_t i = 0; i < count; i++, value >>= 6)
		to[i] = CRYPT64_DIGITS[value & 0x3f];
}

void password_write_crypt64_bytes(char *to, size_t count, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0, written = 0; written < count; i += 3, written += 4) {
		uint32_t group = bytes[i];

		if (i + 1 < size)
			group |= (uint32_t)bytes[i + 1] << 8;
		if (i + 2 < size)
			group |= (uint32_t)bytes[i + 2] << 16;
		password_write_crypt64(to + written, count - written < 4 ? count - written : 4, group);
	}
}

/* "$y$jNR$SALT$HASH": N is the binary logarithm of how many blocks there are, of R times 128 bytes; both less one. */
const char *password_yescrypt_problem(const char *hash)
{
	const char *at = hash + strlen("$y$");
	int log2_n, r;
	size_t salt_length;

	if (strcspn(at, "$") != 3 || at[0] != YESCRYPT_PARAM_DEFAULT)
		return PASSWORD_IS_MALFORMED;
	log2_n = password_crypt64_digit(at[1]) + 1;
	r = password_crypt64_digit(at[2]) + 1;
	if (at[3] != '$' || log2_n < YESCRYPT_LOG2_N_MIN || r < 1)
		return PASSWORD_IS_MALFORMED;
	at += 4;
	salt_length = strspn(at, PASSWORD_CRYPT64);
	if (salt_length == 0 || salt_length > YESCRYPT_SALT_MAX || at[salt_length] != '$' ||
	    !is_base64(at + salt_length + 1, YESCRYPT_HASH_LENGTH))
		return PASSWORD_IS_MALFORMED;
	if (log2_n > YESCRYPT_LOG2_N_MAX || (YESCRYPT_BLOCK_BYTES * (uint64_t)r) << log2_n > YESCRYPT_MEMORY_MAX)
		return PASSWORD_IS_COSTLY("yescrypt with 128 MiB");
	return NULL;
}

/*
 * libcrypt takes no password of 512 bytes or more: that is simply wrong here. Of bcrypt's, only the first 72 bytes
 * count, as they did wherever the hash was made.
 */
bool password_crypt_verify(const char *hash, const char *password)
{
	struct crypt_data *scratch = calloc(1, sizeof *scratch);
	const char *made = scratch != NULL ? crypt_r(password, hash, scratch) : NULL;
	size_t length = strlen(hash);
	bool right = made != NULL && strlen(made) == length && sodium_memcmp(made, hash, length) == 0;

	if (scratch != NULL)
		sodium_memzero(scratch, sizeof *scratch);
	free(scratch);
	return right;
}

bool password_sha_crypt_verify(const char *hash, const char *password)
{
	uint32_t rounds;

	return parse_sha(hash, &rounds) && rounds * (uint64_t)strlen(password) <= SHA_WORK_MAX &&
	       password_crypt_verify(hash, password);
}
