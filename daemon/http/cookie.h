/* Cookies (RFC 6265). */
#ifndef HTTP_COOKIE_H
#define HTTP_COOKIE_H

#include <stdbool.h>
#include <stddef.h>

/* As many cookies as are looked at; browsers send far fewer. */
#define COOKIE_PAIRS_MAX 300

/* A way through a Cookie header: begin with {.at = header}, which may be NULL. */
struct cookie_search {
	const char *at;
	int pairs; /* that have been looked at */
};

/*
 * Find the next cookie called `name` whose value `is_wanted` (may be NULL) likes, and copy the value to out[size].
 * Returns false when there is none that fits. Browsers send several of one name, and which is whose nobody can tell.
 */
bool cookie_find(struct cookie_search *search, const char *name, bool (*is_wanted)(const char *value), char *out,
                 size_t size);

#endif
