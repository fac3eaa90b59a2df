/* Tokens (RFC 9110, 5.6.2), as names of header fields and cookies are. */
#include "base/http_token.h"

#include <ctype.h>
#include <string.h>

bool is_http_token(const char *text)
{
	const char *at = text;

	if (text == NULL)
		return false;
	while (isalnum((unsigned char)*at) || (*at != '\0' && strchr(HTTP_TOKEN_MARKS, *at) != NULL))
		at++;
	return at > text && *at == '\0';
}
