/* Text in a message: quoted-printable (RFC 2045, 6.7), header fields with what is not ASCII (RFC 2047), folding. */
#ifndef MAIL_ENCODING_H
#define MAIL_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>

/* What is written so far. A lack of memory is kept until it is asked for. */
struct mail_text {
	char *bytes;
	size_t used, room;
	bool has_failed;
};

void mail_text_init(struct mail_text *text, TALLOC_CTX *ctx);
void mail_text_put(struct mail_text *text, const char *bytes, size_t size);
void mail_text_say(struct mail_text *text, const char *string);

/* A line of a header: "NAME: value". What is no text in `value` becomes a question mark, so that it stays one field. */
void mail_text_field(struct mail_text *text, const char *name, const char *value);

/* "NAME: display name <address>"; without a display name ("") the address alone. */
void mail_text_mailbox(struct mail_text *text, const char *name, const char *display, const char *address);

/* A body in quoted-printable: any line endings become CRLF, and the last line ends, too. */
void mail_text_quoted_printable(struct mail_text *text, const char *body);

#endif
