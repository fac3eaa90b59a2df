/*
 * An imported password hash. Costly or malformed ones are refused before anything is hashed; the form and cost of
 * accepted ones are bounded, which is checked here independently. Only the cheapest are really hashed.
 */
#include "fuzz.h"

#include "session/password.h"

#include <stdlib.h>
#include <string.h>

/* The decimal number after `prefix` in `hash`; UINT64_MAX when `prefix` is not in it. */
static uint64_t number_behind(const char *hash, const char *prefix)
{
	const char *at = strstr(hash, prefix);

	return at != NULL ? strtoull(at + strlen(prefix), NULL, 10) : UINT64_MAX;
}

/* Of $7$ the numbers are not written in digits. */
static bool is_bounded_scrypt(const char *hash, bool *is_quick)
{
	static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint64_t n, r, p;

	if (hash[1] == '7') {
		n = UINT64_C(1) << (strchr(digits, hash[3]) - digits);
		r = (uint64_t)(strchr(digits, hash[4]) - digits) + 64 * (uint64_t)(strchr(digits, hash[5]) - digits);
		p = (uint64_t)(strchr(digits, hash[9]) - digits) + 64 * (uint64_t)(strchr(digits, hash[10]) - digits);
	} else if (hash[0] == '$') {
		n = UINT64_C(1) << number_behind(hash, "ln=");
		r = number_behind(hash, ",r=");
		p = number_behind(hash, ",p=");
	} else {
		const char *behind_salt = strchr(strchr(hash + strlen("scrypt$"), '$') + 1, '$');

		n = number_behind(hash, "scrypt$");
		r = number_behind(behind_salt, "$");
		p = number_behind(strchr(behind_salt + 1, '$'), "$");
	}
	*is_quick = n * r * p <= 256;
	return n >= 2 && r >= 1 && r <= 64 && p >= 1 && p <= 64 && 128 * n * r <= UINT64_C(128) << 20 &&
	       128 * n * r * p <= UINT64_C(256) << 20;
}

/* Is an accepted hash cheap enough for the daemon? *is_quick: and for a million runs. */
static bool is_bounded(const char *hash, bool *is_quick)
{
	*is_quick = false;
	if (strstr(hash, "$argon2") == hash || strstr(hash, "argon2$") == hash) {
		uint64_t memory = number_behind(hash, "$m="), passes = number_behind(hash, ",t=");
		uint64_t lanes = number_behind(hash, ",p=");

		*is_quick = memory <= 16 && passes <= 2;
		return memory <= UINT64_C(128) * 1024 && passes >= 1 && lanes >= 1 && lanes <= 64 &&
		       memory * passes <= UINT64_C(1024) * 1024;
	}
	if (strstr(hash, "pbkdf2_sha") == hash) {
		uint64_t iterations = number_behind(hash, "$");

		*is_quick = iterations <= 3;
		return iterations >= 1 && iterations <= 2000000;
	}
	if (strstr(hash, "$scrypt$") == hash || strstr(hash, "scrypt$") == hash || strstr(hash, "$7$") == hash)
		return is_bounded_scrypt(hash, is_quick);
	if (hash[0] == '$' && hash[1] != '\0' && strchr("PHS", hash[1]) != NULL) {
		*is_quick = hash[3] <= '8';
		return (hash[3] >= '5' && hash[3] <= '9') || (hash[3] >= 'A' && hash[3] <= 'H');
	}
	if (hash[0] == '{' || strstr(hash, "$1$") == hash || strstr(hash, "$apr1$") == hash) {
		*is_quick = true;
		return true;
	}
	if (strstr(hash, "$wp$") == hash)
		return number_behind(hash + 4, "$") >= 4 && number_behind(hash + 4, "$") <= 13;
	if (strstr(hash, "bcrypt") == hash)
		hash = strchr(hash, '$') + 1;
	if (strstr(hash, "$2") == hash) {
		uint64_t cost = number_behind(hash + 2, "$");

		return cost >= 4 && cost <= 14;
	}
	if (strstr(hash, "$6$rounds=") == hash || strstr(hash, "$5$rounds=") == hash) {
		uint64_t rounds = number_behind(hash, "$rounds=");

		return rounds >= 1000 && rounds <= 700000;
	}
	return strstr(hash, "$6$") == hash || strstr(hash, "$5$") == hash || strstr(hash, "$y$j") == hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct password_cost cost = {.memory = 65536 * 1024, .passes = 3};
	char *hash = fuzz_text(NULL, data, size);
	const char *problem = password_import_problem(hash, &cost);
	bool is_quick = false;

	if (problem == NULL) {
		MUST(is_bounded(hash, &is_quick));
		for (const char *at = hash; *at != '\0'; at++)
			MUST(*at > ' ' && *at <= '~');
	} else {
		MUST(*problem != '\0');
	}
	/* A hash with a problem costs nothing, unless it may be one of the daemon's own. */
	if (password_hash_problem(hash) != NULL || is_quick) {
		bool is_right = password_verify(hash, "secret");

		MUST(problem == NULL || !is_right);
	}
	if (!password_needs_rehash(hash, &cost))
		MUST(strncmp(hash, "$argon2id$v=19$m=65536,t=3,p=1$", 31) == 0);
	/* The same for a new password. */
	if (password_problem(hash) == NULL)
		MUST(strlen(hash) >= PASSWORD_MIN && strlen(hash) <= PASSWORD_MAX);
	else
		MUST(strlen(hash) < 4 * PASSWORD_MIN || strlen(hash) > PASSWORD_MAX);
	talloc_free(hash);
	return 0;
}
