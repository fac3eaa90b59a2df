/* Cookies (RFC 6265). */
#ifndef HTTP_COOKIE_H
#define HTTP_COOKIE_H

#include <stdbool.h>
#include <stddef.h>

/* As many cookies as are searched; browsers send far fewer. */
#define COOKIE_PAIRS_MAX 300

/* A way through a Cookie header: begin with its text, which need not end with a NUL. */
struct cookie_search {
	const char *at;
	size_t left;
	int pairs; /* that have been searched */
};

/*
 * Find the next cookie called `name` whose value `is_wanted` (may be NULL) accepts, and copy the value to out[size].
 * Returns false when there is none that fits. Browsers send several of one name, without the path and
 * the domain that each was set for.
 */
bool cookie_find(struct cookie_search *search, const char *name, bool (*is_wanted)(const char *value), char *out,
                 size_t size);

#endif
