/* The daemon's own cookies: those that hold keys, and the language (RFC 6265bis: prefixes and SameSite). */
#ifndef API_KEY_COOKIE_H
#define API_KEY_COOKIE_H

#include "api/exchange.h"
#include "http/language.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The session's: the keys of all well-formed ones that a request presents which has not been taken in yet, those of the
 * current name first. Over http a neighbouring host can plant one, and an old one may have stayed: only the database
 * knows which is live. Returns how many.
 */
size_t key_cookie_peek(const struct ones_app *app, const struct fcgi *fcgi, struct session_key keys[APP_KEYS_MAX]);

/*
 * Set the cookie to `token`, for as long as a session lasts (session.cookie_persistent), or take it away for NULL; one
 * of the former name goes in both cases.
 */
void key_cookie_write(struct ones_request *req, const char *token);

/*
 * The device cookie shows that this browser was signed in to an account before (see session/browsers.h). It goes to the
 * daemon's own routes only, and stays at logout. False when there is none that is well-formed.
 */
bool device_cookie_read(const struct ones_request *req, struct session_key *key);
void device_cookie_write(struct ones_request *req, const char *token);

/*
 * The Set-Cookie fields for a browser that another program answers, on `req`: of the session and of the device. False
 * when out of memory.
 */
bool key_cookies_for_others(struct ones_request *req, bool by_https, const char *token, const char *device,
                            const char *fields[2]);

/*
 * The language that this browser's person has chosen. It goes to the whole site, for the pages of modules come in
 * languages, too. False when there is none that is well-formed.
 */
bool language_cookie_read(const struct ones_request *req, char language[LANGUAGE_TAG_SIZE]);
void language_cookie_write(struct ones_request *req, const char *language);

/* Is it the name of one of these, with or without a prefix, or a former one that is still read? */
bool key_cookie_is_own_name(const struct ones_request *req, const char *name);

/* Is a cookie that is set now Secure (session.cookie_secure)? */
bool key_cookie_is_secure(const struct ones_request *req);

/* Has the request any cookie of the daemon's? */
bool key_cookie_is_any(const struct ones_request *req);

#endif
