/* session.key_from: keys of sessions that an application makes by itself, and where a request has them. */
#ifndef BASE_KEY_FROM_H
#define BASE_KEY_FROM_H

#include <stdbool.h>
#include <stddef.h>

/* How long such a key may be. */
#define KEY_OF_OTHERS_MIN 16
#define KEY_OF_OTHERS_MAX 4096

/* What tokens of the API begin with. */
#define API_TOKEN_PREFIX "ost_"

/* Is it one of those? Such a text is never a session's key. */
bool key_is_of_api(const char *text);

enum key_from_kind { KEY_FROM_NOTHING, KEY_FROM_COOKIE, KEY_FROM_BEARER };

struct key_from {
	enum key_from_kind kind;
	const char *cookie; /* its name, which is a part of the option's value */
};

/* Read the option's value. Returns NULL, or what it has to be. */
const char *key_from_parse(const char *value, struct key_from *key_from);

/* Can a cookie have that value (RFC 6265, 4.1.1), and is it as long as a key? */
bool key_is_cookie_value(const char *text);

/* Is it token68 (RFC 9110, 11.2), as the credentials of Bearer are? */
bool text_is_token68(const char *text, size_t length);

/* The same, and is it as long as a key? */
bool key_is_token68(const char *text);

/* Can an application's key, where it is taken from there, be that text? Never where it is taken from nowhere. */
bool key_from_can_be(const struct key_from *key_from, const char *text);

#endif
