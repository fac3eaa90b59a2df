/* The cookies that hold keys (RFC 6265bis: prefixes and SameSite). */
#ifndef API_KEY_COOKIE_H
#define API_KEY_COOKIE_H

#include "onesession.h"
#include "session/token.h"

#include <stdbool.h>

/* The session's: the key of the cookie that the request presents. False when there is none that is well-formed. */
bool key_cookie_read(const struct ones_request *req, struct session_key *key);

/* Set the cookie to `token`, for as long as a session lasts (session.cookie_persistent), or take it away for NULL. */
void key_cookie_write(struct ones_request *req, const char *token);

/*
 * The same for the cookie by which a browser is known where it was signed in before (see session/browsers.h). It goes
 * to our own routes only, and stays at logout.
 */
bool device_cookie_read(const struct ones_request *req, struct session_key *key);
void device_cookie_write(struct ones_request *req, const char *token);

#endif
