/* An Authorization field: credentials are the end of it, and what is taken for a key has its form. */
#include "fuzz.h"

#include "base/key_from.h"
#include "http/authorization.h"

#include <string.h>

static bool is_only(const char *text, const char *letters)
{
	return text[strspn(text, letters)] == '\0';
}

static void check_key(const char *text)
{
	static const char token68[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
	size_t length = strlen(text);

	if (!key_is_token68(text) && !key_is_cookie_value(text))
		return;
	MUST(length >= KEY_OF_OTHERS_MIN && length <= KEY_OF_OTHERS_MAX);
	MUST(strncmp(text, API_TOKEN_PREFIX, strlen(API_TOKEN_PREFIX)) != 0);
	MUST(strpbrk(text, " \t\r\n;,\\") == NULL);
	/* What stands in Authorization could as well stand in a cookie. */
	if (key_is_token68(text))
		MUST(is_only(text, token68) && key_is_cookie_value(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *field = fuzz_text(NULL, data, size);
	size_t length = strlen(field);
	struct fcgi_text credentials;

	if (authorization_bearer((struct fcgi_text){field, length}, &credentials)) {
		MUST(credentials.at + credentials.length == field + length);
		MUST(credentials.length == 0 || credentials.at[0] != ' ');
		MUST((size_t)(credentials.at - field) >= strlen("Bearer "));
		check_key(credentials.at);
	}
	check_key(field);
	talloc_free(field);
	return 0;
}
