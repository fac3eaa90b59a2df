/* What of a connection string may be shown or logged: it can hold a password, and libpq quotes from it. */
#ifndef SESSION_CONNINFO_H
#define SESSION_CONNINFO_H

#include <talloc.h>

/*
 * `conninfo` as it may be shown without giving a password away: with one, or what may be one, only what
 * is certainly none. On `ctx`; NULL when out of memory.
 */
char *conninfo_shown(TALLOC_CTX *ctx, const char *conninfo);

/*
 * What libpq says of a failed attempt, in one line as it may be logged: of several hosts each has a line, and the last
 * may be the one that matters. On `ctx`; NULL when out of memory.
 */
char *conninfo_connect_problem(TALLOC_CTX *ctx, const char *conninfo, const char *message);

/* The same for an attempt that could not begin: libpq quotes what it cannot read or use, and that may be a password. */
char *conninfo_start_problem(TALLOC_CTX *ctx, const char *conninfo, const char *message);

#endif
