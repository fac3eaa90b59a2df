/* Pages: the files of handlers/pages, built into the program, those of a folder that take their place, and modules'
 * own.
 */
#ifndef HTTP_PAGE_H
#define HTTP_PAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <talloc.h>

struct pages;

/*
 * All of them, read and checked, on `ctx`. `folder` may be "": then there are none but the built-in ones. All that is
 * wrong goes to `complaints`, a line each; NULL when anything was wrong. A file of another name is logged: it may
 * be misspelt.
 */
struct pages *pages_load(TALLOC_CTX *ctx, const char *folder, FILE *complaints);

/*
 * Those of a module, of a folder of its own: any files, of which those that end in .html are pages. What is not there
 * is looked for among the daemon's. Otherwise as above; complaints about the folder begin with `module`.
 */
struct pages *pages_load_module(TALLOC_CTX *ctx, const struct pages *daemons, const char *module, const char *folder,
                                FILE *complaints);

/* A file as it is; NULL when there is none of that name. */
const char *pages_file(const struct pages *pages, const char *name, size_t *size);

/*
 * The page of that name, filled in, on `ctx`. *has_script tells whether it has a script. NULL when there is no such
 * page, when out of memory, or when it would become too large.
 */
char *pages_render(TALLOC_CTX *ctx, const struct pages *pages, const char *name, const json_t *values, size_t *size,
                   bool *has_script);

#endif
