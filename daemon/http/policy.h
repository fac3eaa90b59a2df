/* Content-Security-Policy (CSP Level 3): adding to that of a page. */
#ifndef HTTP_POLICY_H
#define HTTP_POLICY_H

#include <stdbool.h>
#include <talloc.h>

/* Is it a directive that a page's policy can be widened by: a known name, and one source or more? */
bool policy_can_allow(const char *directive);

/* `policy` with the sources of `directive` beside those that it has for it, on `ctx`; NULL when out of memory. */
char *policy_allow(TALLOC_CTX *ctx, const char *policy, const char *directive);

#endif
