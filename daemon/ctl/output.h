/* What commands say on standard output: JSON for programs, sentences for people. */
#ifndef CTL_OUTPUT_H
#define CTL_OUTPUT_H

#include "ctl/ctl.h"

/* Print the value and drop the reference. NULL is "out of memory". Returns the exit code. */
int output_json(json_t *value);

/*
 * Print an array of `count` values, a line each, that `item` makes of `rows` one at a time: there may be millions.
 * Returns the exit code.
 */
int output_json_array(size_t count, json_t *(*item)(const void *rows, size_t at), const void *rows);

/* Print the value on a line of its own, at once, and drop the reference. Returns the exit code. */
int output_json_line(json_t *value);

/* RFC 3339 in UTC, JSON null for 0 and infinity: a new reference, NULL when out of memory. */
json_t *output_time(int64_t us);

/* An array of texts: a new reference, NULL when out of memory. */
json_t *output_names(const char *const names[], size_t count);

/* A sentence, cleaned for a terminal. Returns the exit code. */
__attribute__((format(printf, 1, 2))) int output_line(const char *format, ...);

/* "1 session", "2 sessions": the number and the noun, on `ctx`; "?" when out of memory. */
const char *output_count(TALLOC_CTX *ctx, int64_t number, const char *noun);

/* "192.0.2.7, Firefox on Linux", or whichever of it is known, on `ctx`; NULL when out of memory. */
const char *output_place(TALLOC_CTX *ctx, const char *ip, const char *browser, const char *os);

/* "Firefox on Linux", or whichever of the two is known, on `ctx`; NULL when out of memory. */
const char *output_device(TALLOC_CTX *ctx, const char *user_agent);

#endif
