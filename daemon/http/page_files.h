/* The files of a folder of pages. */
#ifndef HTTP_PAGE_FILES_H
#define HTTP_PAGE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <talloc.h>

/*
 * A file, of at most 1 MiB, on `ctx`, with a NUL behind its *size bytes; NULL with a complaint. With `is_text` it has
 * to be UTF-8.
 */
char *page_file_read(TALLOC_CTX *ctx, const char *path, bool is_text, size_t *size, FILE *complaints);

/* Whom each file goes to: 0, or -1 with a complaint. */
typedef int page_file_take(void *context, const char *folder, const char *name, FILE *complaints);

/*
 * Go through a folder in the order of names, without those that begin with a dot, and 256 at the most. 0, or -1 when
 * anything was wrong; complaints about the folder begin with `what`.
 */
int page_folder_read(const char *what, const char *folder, page_file_take *take, void *context, FILE *complaints);

#endif
