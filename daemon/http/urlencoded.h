/* application/x-www-form-urlencoded (WHATWG URL Standard, 5), as forms and query strings are written. */
#ifndef HTTP_URLENCODED_H
#define HTTP_URLENCODED_H

#include <stddef.h>
#include <talloc.h>

#define URLENCODED_FIELDS_MAX 100

struct urlencoded_field {
	const char *name;
	const char *value;
};

struct urlencoded {
	size_t count;
	struct urlencoded_field fields[URLENCODED_FIELDS_MAX];
};

/*
 * Decode `text` of `size` bytes into *fields, strings on `ctx`. Returns NULL, or what is wrong with it: a broken
 * escape, a NUL, invalid UTF-8, too many fields, no memory.
 */
const char *urlencoded_parse(TALLOC_CTX *ctx, const char *text, size_t size, struct urlencoded *fields);

/* The first value of `name`, or NULL. */
const char *urlencoded_get(const struct urlencoded *fields, const char *name);

/*
 * `text` as a value in a query string: escaped but for slashes and RFC 3986's unreserved characters. On `ctx`; NULL
 * when out of memory.
 */
char *urlencoded_escape(TALLOC_CTX *ctx, const char *text);

#endif
