/* The cookies that hold keys (RFC 6265bis: prefixes and SameSite). */
#ifndef API_KEY_COOKIE_H
#define API_KEY_COOKIE_H

#include "onesession.h"
#include "session/token.h"

#include <stdbool.h>
#include <stddef.h>

/* As many keys of one request as are looked at. */
#define KEY_COOKIES_MAX 8

/*
 * The session's: the keys of all well-formed ones that the request presents, those of the name that is issued first.
 * Over http any neighbouring host can plant one, and an old one may have stayed: only the database tells which is live.
 */
size_t key_cookie_read_all(const struct ones_request *req, struct session_key keys[KEY_COOKIES_MAX]);

/* The first of these. False when there is none. */
bool key_cookie_read(const struct ones_request *req, struct session_key *key);

/* Set the cookie to `token`, or take it away for NULL; one of the former name goes in both cases. */
void key_cookie_write(struct ones_request *req, const char *token);

/*
 * The device cookie tells that this browser was signed in to an account before (see session/browsers.h). It goes to our
 * own routes only, and stays at logout. False when there is none that is well-formed.
 */
bool device_cookie_read(const struct ones_request *req, struct session_key *key);
void device_cookie_write(struct ones_request *req, const char *token);

#endif
