/* Cookies (RFC 6265). */
#ifndef HTTP_COOKIE_H
#define HTTP_COOKIE_H

#include <stdbool.h>
#include <stddef.h>

/* As many cookies as are looked at; browsers send far fewer. */
#define COOKIE_PAIRS_MAX 300

/*
 * Find, in a Cookie header (may be NULL), the first cookie called `name` whose value `is_wanted` (may be NULL) likes,
 * and copy the value to out[size]. Returns false when there is none that fits.
 */
bool cookie_find(const char *header, const char *name, bool (*is_wanted)(const char *value), char *out, size_t size);

#endif
