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
	if (strstr(hash, "pbkdf2_sha256$") == hash) {
		uint64_t iterations = number_behind(hash, "pbkdf2_sha256$");

		*is_quick = iterations <= 3;
		return iterations >= 1 && iterations <= 2000000;
	}
	if (strstr(hash, "bcrypt_sha256$") == hash)
		hash += strlen("bcrypt_sha256$");
	if (strstr(hash, "$2") == hash) {
		uint64_t cost = number_behind(hash + 2, "$");

		return cost >= 4 && cost <= 14;
	}
	if (strstr(hash, "$6$rounds=") == hash) {
		uint64_t rounds = number_behind(hash, "$6$rounds=");

		return rounds >= 1000 && rounds <= 700000;
	}
	return strstr(hash, "$6$") == hash || strstr(hash, "$y$j") == hash;
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
