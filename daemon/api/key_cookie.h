/* The daemon's own cookies: those that hold keys, and the language (RFC 6265bis: prefixes and SameSite). */
#ifndef API_KEY_COOKIE_H
#define API_KEY_COOKIE_H

#include "api/exchange.h"
#include "http/language.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The session's: the keys of all well-formed ones in the Cookie field of a request that has not been taken in yet,
 * those of the current name first; `room` at most. Returns how many.
 */
size_t key_cookies_find(const struct ones_app *app, const struct fcgi *fcgi, struct fcgi_text header,
                        struct session_key keys[], size_t room);

/* The same of an application's own cookie (session.key_from). */
size_t key_cookies_of_others(const struct key_from *key_from, struct fcgi_text header,
                             struct session_key keys[APP_KEYS_MAX]);

/*
 * What an application may read as that cookie, however it is written: keys[count] and so on, up to keys[room - 1],
 * become the keys that are not among the first ones already. Returns how many there are then.
 */
size_t key_cookies_read_otherwise(const struct key_from *key_from, struct fcgi_text header, struct session_key keys[],
                                  size_t count, size_t room);

/*
 * Set the cookie to `token`, for as long as a session lasts (session.cookie_persistent), or take it away for NULL; one
 * of the former name goes in both cases.
 */
void key_cookie_write(struct ones_request *req, const char *token);

/*
 * The device cookie shows that this browser was signed in to an account before (see session/browsers.h). It goes to the
 * whole site, whose own sign-in may be anywhere, and stays at logout. False when there is none that is well-formed.
 */
bool device_cookie_read(const struct ones_request *req, struct session_key *key);
void device_cookie_write(struct ones_request *req, const char *token);

/*
 * The Set-Cookie fields for a browser that another program answers, on `req`: of the session, if `token` is not NULL,
 * and of the device. False when out of memory.
 */
bool key_cookies_for_others(struct ones_request *req, bool by_https, const char *token, const char *device,
                            const char *fields[2]);

/*
 * The language that this browser's person has chosen. It goes to the whole site, for the pages of modules come in
 * languages, too. False when there is none that is well-formed.
 */
bool language_cookie_read(const struct ones_request *req, char language[LANGUAGE_TAG_SIZE]);
void language_cookie_write(struct ones_request *req, const char *language);

/* Is a cookie that is set now Secure (session.cookie_secure)? */
bool key_cookie_is_secure(const struct ones_request *req);

/* Has the request any cookie of the daemon's? */
bool key_cookie_is_any(const struct ones_request *req);

#endif
