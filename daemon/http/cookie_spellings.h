/* Cookies that are not written as RFC 6265 says: what other programs, which decode and trim, may read in them. */
#ifndef HTTP_COOKIE_SPELLINGS_H
#define HTTP_COOKIE_SPELLINGS_H

#include "http/cookie.h"
#include "http/inspection.h"

#include <stdbool.h>
#include <stddef.h>

/* Other ways to write a value; each is what some program makes of it, or writes in its place. */
enum cookie_spelling {
	SPELLED_AS_IT_STANDS,
	SPELLED_UNQUOTED, /* without quotes around it, and what stands behind backslashes (RFC 2109, Python) */
	SPELLED_DECODED,  /* and without percent-escapes (PHP, Express, Rack) */
	SPELLED_ENCODED,  /* and with those that encodeURIComponent() makes */
	SPELLED_QUOTED,   /* the second, in quotes */
	SPELLED_WHOLE,    /* with percent-escapes as the fourth, and those of the quotes, which PHP leaves there */
	COOKIE_SPELLINGS
};

/*
 * Find the next thing that a program may read as a cookie called `name`: in letters of any case, escaped, with white
 * space, control characters or others than ASCII around it, behind a comma, or with what PHP makes an underscore.
 * Returns false when there is no more. All of the header is searched.
 */
bool cookie_find_alike(struct cookie_search *search, const char *name, struct fcgi_text *value);

/*
 * The same value up to the next semicolon, where most programs look for its end: it may have commas, space and other
 * bytes in it. `search` has just found it.
 */
struct fcgi_text cookie_up_to_semicolon(const struct cookie_search *search, struct fcgi_text value);

/* Write the value so. False when that is the same as another spelling, or longer than out[size]. */
bool cookie_spell(struct fcgi_text value, enum cookie_spelling spelling, char *out, size_t size);

#endif
