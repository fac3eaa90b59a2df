/* The text of a mail: its pages and its subject, filled in. */
#ifndef API_MAIL_TEXT_H
#define API_MAIL_TEXT_H

#include "api/app.h"
#include "mail/sender.h"
#include "session/mails.h"

#include <talloc.h>

/*
 * The message as it is sent, on `ctx`, with link and code of `secrets`. NULL with *problem, a constant: the module, its
 * pages or memory are missing.
 */
char *mail_text_write(TALLOC_CTX *ctx, const struct ones_app *app, const struct mail_setup *setup,
                      const struct mail_row *row, const struct mail_secrets *secrets, size_t *size,
                      const char **problem);

#endif
