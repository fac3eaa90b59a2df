/* What the daemon's own cookies are called. */
#include "base/own_cookies.h"

#include "base/settings.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_former(enum own_cookie cookie)
{
	return cookie == KEY_COOKIE_FORMER || cookie == DEVICE_COOKIE_FORMER;
}

/*
 * With __Host- a browser takes the session's cookie only over HTTPS and from this very host, so that no other host can
 * plant one. That a sibling host can plant the others is of no use to it: see browsers.h. The device cookie could have
 * that prefix, too, as it goes to the whole site; but with another name no browser that has one would be known. That of
 * the language is no secret, and has one name for whoever reads it.
 */
void own_cookie_name(const char *base, bool is_secure, enum own_cookie cookie, char name[OWN_COOKIE_NAME_SIZE])
{
	static const char *const endings[] = {
		[KEY_COOKIE] = "",           [KEY_COOKIE_FORMER] = "",
		[DEVICE_COOKIE] = "_device", [DEVICE_COOKIE_FORMER] = "_device",
		[CHECK_COOKIE] = "_check",   [LANGUAGE_COOKIE] = "_language",
	};
	const char *prefix = endings[cookie][0] == '\0' ? "__Host-" : "__Secure-";

	(void)snprintf(name, OWN_COOKIE_NAME_SIZE, "%s%s%s", is_secure && cookie != LANGUAGE_COOKIE ? prefix : "",
	               is_former(cookie) ? COOKIE_NAME_FORMER : base, endings[cookie]);
}

bool own_cookies_read_former(const char *base)
{
	return strcmp(base, COOKIE_NAME_DEFAULT) == 0;
}

bool own_cookies_have(const char *base, const char *name)
{
	static const char *const prefixes[] = {"__Host-", "__Secure-"};

	/* Browsers know a prefix in any case (RFC 6265bis, 5.7). */
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
		if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
			name += strlen(prefixes[i]);
			break;
		}
	}
	for (enum own_cookie cookie = KEY_COOKIE; cookie < OWN_COOKIES; cookie++) {
		char own[OWN_COOKIE_NAME_SIZE];

		/* Not secure, so that there is no prefix. */
		own_cookie_name(base, false, cookie, own);
		if (strcmp(name, own) == 0 && (!is_former(cookie) || own_cookies_read_former(base)))
			return true;
	}
	return false;
}
