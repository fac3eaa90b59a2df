/* session.key_from: keys of sessions that an application makes by itself, and where a request has them. */
#include "base/key_from.h"

#include "base/http_token.h"

#include <ctype.h>
#include <string.h>

#define COOKIE "cookie "

const char *key_from_parse(const char *value, struct key_from *key_from)
{
	*key_from = (struct key_from){0};
	if (value[0] == '\0')
		return NULL;
	if (strcmp(value, "bearer") == 0) {
		key_from->kind = KEY_FROM_BEARER;
		return NULL;
	}
	if (strncmp(value, COOKIE, strlen(COOKIE)) == 0) {
		key_from->cookie = value + strlen(COOKIE) + strspn(value + strlen(COOKIE), " ");
		key_from->kind = KEY_FROM_COOKIE;
		if (is_http_token(key_from->cookie))
			return NULL;
	}
	return "\"cookie NAME\" with the name of a cookie of the application's, \"bearer\", or nothing";
}

bool key_is_of_api(const char *text)
{
	return strncmp(text, API_TOKEN_PREFIX, strlen(API_TOKEN_PREFIX)) == 0;
}

static bool is_as_long_as_a_key(const char *text)
{
	size_t length = strlen(text);

	return length >= KEY_OF_OTHERS_MIN && length <= KEY_OF_OTHERS_MAX && !key_is_of_api(text);
}

/* The value may stand in double quotes, which are a part of it. */
bool key_is_cookie_value(const char *text)
{
	size_t length = strlen(text);
	size_t begin = 0, end = length;

	if (!is_as_long_as_a_key(text))
		return false;
	if (text[0] == '"' && text[length - 1] == '"') {
		begin++;
		end--;
	}
	for (size_t i = begin; i < end; i++) {
		if (text[i] <= ' ' || text[i] >= 0x7f || strchr("\",;\\", text[i]) != NULL)
			return false;
	}
	return true;
}

bool text_is_token68(const char *text, size_t length)
{
	size_t i = 0, begin_of_padding;

	while (i < length && text[i] != '\0' && (isalnum((unsigned char)text[i]) || strchr("-._~+/", text[i]) != NULL))
		i++;
	begin_of_padding = i;
	while (i < length && text[i] == '=')
		i++;
	return begin_of_padding > 0 && i == length;
}

bool key_is_token68(const char *text)
{
	return text_is_token68(text, strlen(text)) && is_as_long_as_a_key(text);
}

bool key_from_can_be(const struct key_from *key_from, const char *text)
{
	switch (key_from->kind) {
	case KEY_FROM_COOKIE: return key_is_cookie_value(text);
	case KEY_FROM_BEARER: return key_is_token68(text);
	default: return false;
	}
}
