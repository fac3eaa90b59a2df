/* Tokens (RFC 9110, 5.6.2), as names of header fields and cookies are. */
#ifndef BASE_HTTP_TOKEN_H
#define BASE_HTTP_TOKEN_H

#include <stdbool.h>

/* What a token may have besides letters and digits. */
#define HTTP_TOKEN_MARKS "!#$%&'*+-.^_`|~"

bool is_http_token(const char *text);

#endif
