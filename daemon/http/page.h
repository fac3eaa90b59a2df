/* Pages: the files of handlers/pages, built into the program, with {{name}} replaced. */
#ifndef HTTP_PAGE_H
#define HTTP_PAGE_H

#include "onesession.h"

#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>

struct page_file {
	const char *name;
	const char *text;
	size_t size;
};

/* Fill in *file, the file of that name as it is. Returns false when there is none. */
bool page_find(const char *name, struct page_file *file);

/*
 * The page with each {{name}} replaced by its value of `texts` (ends with a NULL name), escaped for HTML; a name that
 * has no value becomes nothing. On `ctx`; NULL when out of memory.
 */
char *page_render(TALLOC_CTX *ctx, const struct page_file *page, const struct ones_text *texts, size_t *size);

#endif
