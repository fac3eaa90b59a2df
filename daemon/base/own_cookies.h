/* What the daemon's own cookies are called. */
#ifndef BASE_OWN_COOKIES_H
#define BASE_OWN_COOKIES_H

#include <stdbool.h>

/* The longest session.cookie_name, and what comes before and after it. */
#define OWN_COOKIE_NAME_SIZE 128

enum own_cookie {
	KEY_COOKIE,
	DEVICE_COOKIE,
	KEY_COOKIE_FORMER,
	DEVICE_COOKIE_FORMER,
	CHECK_COOKIE,
	LANGUAGE_COOKIE,
	OWN_COOKIES
};

/* Its name, where session.cookie_name is `base`; with the prefix that browsers know, where it is secure. */
void own_cookie_name(const char *base, bool is_secure, enum own_cookie cookie, char name[OWN_COOKIE_NAME_SIZE]);

/* Cookies of the former names are read, until 1.0, so that an upgrade ends no session. */
bool own_cookies_read_former(const char *base);

/* Is it the name of one of these, with or without a prefix, or a former one that is still read? */
bool own_cookies_have(const char *base, const char *name);

#endif
