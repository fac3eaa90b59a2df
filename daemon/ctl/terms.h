/* The terms of an account as they are written on a command line or in a file, as JSON. */
#ifndef CTL_TERMS_H
#define CTL_TERMS_H

#include <jansson.h>
#include <stdbool.h>
#include <talloc.h>

/* All return a new reference, NULL when out of memory or what is given is no UTF-8. Nothing, "", stands for null. */
json_t *terms_text(const char *text);

/* "a,b" */
json_t *terms_names(const char *text);

/*
 * "2027-01-31", when it begins, or with the time behind it as RFC 3339 has it or databases print it: "2027-01-31
 * 10:32:05", in UTC where there is no offset. What is none of these stays as it is.
 */
json_t *terms_moment(TALLOC_CTX *ctx, const char *text);

/* What terms_moment() takes, in words. */
#define TERMS_MOMENT                                                                                                   \
	"a moment such as 2027-01-31T10:32:05Z or \"2027-01-31 10:32:05\", or a day such as 2027-01-31, which is its"  \
	" 00:00 UTC"

/* Is "valid_until" a moment, or none? */
bool terms_has_moment(const json_t *terms);

#endif
