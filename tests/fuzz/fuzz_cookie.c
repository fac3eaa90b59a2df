/* A Cookie header: a value that is found is in the header, and fits; and the search ends. */
#include "fuzz.h"

#include "http/cookie_spellings.h"
#include "session/token.h"

#include <stdlib.h>
#include <string.h>

static void find(const char *header, bool (*is_wanted)(const char *value), size_t size)
{
	static const char name[] = "onesession";
	struct cookie_search search = {.at = header, .left = strlen(header)};
	char *out = malloc(size);
	char pair[sizeof name + TOKEN_LENGTH + 2];

	MUST(out != NULL);
	while (cookie_find(&search, name, is_wanted, out, size)) {
		size_t length = strlen(out);

		MUST(search.pairs <= COOKIE_PAIRS_MAX);
		MUST(length < size);
		MUST(strcspn(out, ";") == length);
		MUST(is_wanted == NULL || is_wanted(out));
		memcpy(pair, name, sizeof name - 1);
		pair[sizeof name - 1] = '=';
		memcpy(pair + sizeof name, out, length + 1);
		MUST(strstr(header, pair) != NULL);
	}
	free(out);
}

/* In whatever way it is written. */
static void find_alike(const char *header, size_t size)
{
	struct cookie_search search = {.at = header, .left = strlen(header)};
	struct fcgi_text value;
	char *out = malloc(size);

	MUST(out != NULL);
	while (cookie_find_alike(&search, "onesession", &value)) {
		MUST(value.at >= header && value.at + value.length == search.at);
		MUST(search.at + search.left == header + strlen(header));
		for (enum cookie_spelling way = 0; way < COOKIE_SPELLINGS; way++)
			MUST(!cookie_spell(value, way, out, size) || strlen(out) < size);
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *header = fuzz_text(NULL, data, size);

	find(header, token_is_well_formed, TOKEN_LENGTH + 1);
	find(header, NULL, TOKEN_LENGTH + 1);
	find(header, NULL, 1);
	find_alike(header, TOKEN_LENGTH + 1);
	find_alike(header, 1);
	talloc_free(header);
	return 0;
}
