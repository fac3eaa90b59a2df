/* The cookies that the kit's browser keeps (RFC 6265, 5.3 and 5.4), of one host. */
#ifndef KIT_COOKIE_JAR_H
#define KIT_COOKIE_JAR_H

#include <talloc.h>

struct kept_cookie {
	struct kept_cookie *next;
	const char *name;
	const char *value;
	const char *path;
};

struct cookie_jar {
	struct kept_cookie *first;
};

/* Take in a Set-Cookie field; cookies are on `ctx`. Returns 0, or -1: out of memory. */
int cookie_jar_take(struct cookie_jar *jar, TALLOC_CTX *ctx, const char *field);

/* The Cookie field for a request for that path, on `ctx`: "" without any. NULL when out of memory. */
const char *cookie_jar_header(const struct cookie_jar *jar, TALLOC_CTX *ctx, const char *path);

#endif
