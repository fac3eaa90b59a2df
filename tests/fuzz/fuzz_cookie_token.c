/* A session's token and its public id: 43 characters of base64url, a UUID, and nothing else. */
#include "fuzz.h"

#include "session/token.h"

#include <string.h>

static bool is_only(const char *text, size_t length, const char *letters)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\0' || strchr(letters, text[i]) == NULL)
			return false;
	}
	return true;
}

static bool is_token(const char *text)
{
	return strlen(text) == TOKEN_LENGTH &&
	       is_only(text, TOKEN_LENGTH, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
}

static bool is_uuid(const char *text)
{
	static const size_t groups[] = {8, 4, 4, 4, 12};

	if (strlen(text) != 36)
		return false;
	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
		if (!is_only(text, groups[i], "0123456789abcdefABCDEF"))
			return false;
		text += groups[i];
		if (*text != (i < 4 ? '-' : '\0'))
			return false;
		text++;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(NULL, data, size);

	MUST(token_is_well_formed(text) == is_token(text));
	MUST(session_id_is_well_formed(text) == is_uuid(text));
	if (token_is_well_formed(text)) {
		struct session_key key = token_key(text);
		struct session_key same = token_key(text);

		MUST(memcmp(key.bytes, same.bytes, sizeof key.bytes) == 0);
	}
	talloc_free(text);
	return 0;
}
