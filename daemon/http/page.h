/* Pages: the files of handlers/pages, built into the program, with {{name}} replaced. */
#ifndef HTTP_PAGE_H
#define HTTP_PAGE_H

#include "onesession.h"

#include <stddef.h>
#include <talloc.h>

/* The text of the file of that name, a constant; NULL when there is none. */
const char *page_find(const char *name);

/*
 * The page with each {{name}} replaced by its value of `texts` (ends with a NULL name), escaped for HTML; a name that
 * has no value becomes nothing. On `ctx`; NULL when out of memory.
 */
char *page_render(TALLOC_CTX *ctx, const char *page, const struct ones_text *texts, size_t *size);

#endif
