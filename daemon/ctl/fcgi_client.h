/* Asking the daemon: one FastCGI request to the first of its sockets (FastCGI Specification 1.0, sections 3 to 6). */
#ifndef CTL_FCGI_CLIENT_H
#define CTL_FCGI_CLIENT_H

#include "base/settings.h"

#include <stddef.h>
#include <talloc.h>

/*
 * GET `path` (below server.prefix), as one of the operators that server.operators lists. Returns the body, on `ctx`,
 * with a NUL behind it, or NULL with a sentence in problem[size].
 */
char *fcgi_client_get(TALLOC_CTX *ctx, const struct settings *settings, const char *path, char *problem, size_t size);

#endif
