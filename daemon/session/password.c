#include "session/password.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(PASSWORD_HASH_SIZE == crypto_pwhash_STRBYTES, "a hash of libsodium's fits");

int password_hash(const char *password, const struct password_cost *cost, char hash[PASSWORD_HASH_SIZE])
{
	if (cost->passes < 0 || cost->memory < 0 || (uint64_t)cost->memory > SIZE_MAX)
		return -1;
	return crypto_pwhash_str_alg(hash, password, strlen(password), (unsigned long long)cost->passes,
	                             (size_t)cost->memory, crypto_pwhash_ALG_ARGON2ID13);
}

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool password_verify(const char *hash, const char *password)
{
	/* libsodium is promised a buffer of this size, not just a string. */
	char padded[PASSWORD_HASH_SIZE] = {0};
	size_t length = strlen(hash);

	if (!begins_with(hash, crypto_pwhash_argon2id_STRPREFIX) && !begins_with(hash, crypto_pwhash_argon2i_STRPREFIX))
		return false;
	if (length >= sizeof padded)
		return false;
	memcpy(padded, hash, length);
	return crypto_pwhash_str_verify(padded, password, strlen(password)) == 0;
}
