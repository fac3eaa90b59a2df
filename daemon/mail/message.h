/* A message as it is sent: RFC 5322, with MIME (RFC 2045 to 2047). */
#ifndef MAIL_MESSAGE_H
#define MAIL_MESSAGE_H

#include "base/mail_settings.h"

#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

struct mail_message {
	struct mail_from from;
	const char *to;         /* an address as email_parse() gives it: its local part may be UTF-8 (RFC 6532) */
	const char *subject;    /* any UTF-8: what would break out of its line becomes a question mark */
	const char *text;       /* UTF-8 */
	const char *html;       /* NULL: there is none */
	const char *language;   /* its tag, ""; not known */
	const char *message_id; /* the left side of the Message-ID, of letters, digits and hyphens */
	int64_t date_s;         /* seconds since 1970 */
};

/*
 * On `ctx`, with CRLF at the end of each line, none of which has more than 998 bytes, and but for long addresses none
 * more than 78. It says of itself that a program has sent it (RFC 3834, 5). NULL when out of memory.
 */
char *mail_message_compose(TALLOC_CTX *ctx, const struct mail_message *message, size_t *size);

#endif
