/* The cookie that holds the session key (RFC 6265bis: prefixes and SameSite). */
#ifndef API_KEY_COOKIE_H
#define API_KEY_COOKIE_H

#include "onesession.h"
#include "session/token.h"

#include <stdbool.h>

/* The key of the cookie that the request presents. False when there is none that is well-formed. */
bool key_cookie_read(const struct ones_request *req, struct session_key *key);

/* Set the cookie to `token`, or take it away for NULL. */
void key_cookie_write(struct ones_request *req, const char *token);

#endif
