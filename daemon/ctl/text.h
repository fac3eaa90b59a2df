/* Text for a terminal: what is in a name can neither move the cursor nor upset a column. */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* To be called once, before the others: they work on UTF-8 whatever the environment says. */
void text_init(void);

/* `text` with everything that is invisible or moves the cursor written out ("\x1b"), on `ctx`; NULL when out of memory.
 */
char *text_clean(TALLOC_CTX *ctx, const char *text);

/* The columns that clean text takes. */
size_t text_width(const char *text);

/* How many bytes of clean text fit into that many columns, and how many columns these take. */
size_t text_fit(const char *text, size_t columns);
size_t text_fit_width(const char *text, size_t columns);

/* "2026-01-31 10:32" here, "never" for 0 and for infinity, on `ctx`; NULL when out of memory. */
char *text_time(TALLOC_CTX *ctx, int64_t us);

/* The same with seconds. */
char *text_time_exact(TALLOC_CTX *ctx, int64_t us);

/* "2026-01-31T10:32:05Z" (RFC 3339), on `ctx`; NULL for 0 and for infinity, and when out of memory. */
char *text_time_utc(TALLOC_CTX *ctx, int64_t us);

#endif
