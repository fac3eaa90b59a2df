/* A query string: values read from it are text, in order, and values written into one are read back unchanged. */
#include "fuzz.h"

#include "base/utf8.h"
#include "http/urlencoded.h"

#include <string.h>

static void check_round_trip(TALLOC_CTX *ctx, const char *text)
{
	char *escaped = urlencoded_escape(ctx, text);
	char *query = talloc_asprintf(ctx, "x=%s", escaped);
	struct urlencoded *again = talloc(ctx, struct urlencoded);

	MUST(escaped != NULL && query != NULL && again != NULL);
	MUST(strpbrk(escaped, "&=+#\"'<> ") == NULL);
	MUST(urlencoded_parse(ctx, query, strlen(query), again) == NULL);
	MUST(again->count == 1 && strcmp(urlencoded_get(again, "x"), text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	struct urlencoded *fields = talloc(ctx, struct urlencoded);
	const char *defect;
	size_t length = 0;

	MUST(fields != NULL);
	defect = urlencoded_parse(ctx, size > 0 ? (const char *)data : "", size, fields);
	MUST(fields->count <= URLENCODED_FIELDS_MAX);
	if (defect == NULL) {
		for (size_t i = 0; i < fields->count; i++) {
			MUST(utf8_is_valid(fields->fields[i].name) && utf8_is_valid(fields->fields[i].value));
			MUST(urlencoded_get(fields, fields->fields[i].name) != NULL);
			length += strlen(fields->fields[i].name) + strlen(fields->fields[i].value);
		}
		MUST(length <= size);
		if (fields->count > 0)
			check_round_trip(ctx, fields->fields[fields->count - 1].value);
	}
	talloc_free(ctx);
	return 0;
}
