/* Mail as handlers, receivers and jobs write it, and what its links and codes let in: behind ones_mail(). */
#ifndef API_MAIL_H
#define API_MAIL_H

#include "api/app.h"

#include <talloc.h>

/* The pages that a mail of that kind is made of, on `ctx`. NULL when out of memory. */
const char *mail_page_plain(TALLOC_CTX *ctx, const char *kind);
const char *mail_page_html(TALLOC_CTX *ctx, const char *kind);

/* The key of its subject among the texts, likewise. */
const char *mail_subject_key(TALLOC_CTX *ctx, const char *kind);

#endif
