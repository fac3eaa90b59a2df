/* How far an SMTP transfer (RFC 5321) has come, by the lines of both sides, and what its end means. */
#ifndef MAIL_SMTP_STATE_H
#define MAIL_SMTP_STATE_H

#include "mail/outcome.h"

#include <stdbool.h>
#include <stddef.h>

#define SMTP_REPLY_SIZE 256

/* What was asked last. */
enum smtp_stage {
	SMTP_STAGE_CONNECT, /* nothing: the connection and the greeting are waited for */
	SMTP_STAGE_HELLO,
	SMTP_STAGE_STARTTLS,
	SMTP_STAGE_AUTH,
	SMTP_STAGE_MAIL,
	SMTP_STAGE_RCPT,
	SMTP_STAGE_DATA,
	SMTP_STAGE_BODY, /* the message */
};

struct smtp_state {
	enum smtp_stage stage;
	bool is_over; /* we have said goodbye, or taken it back: what follows is about nothing */
	int code;     /* of the last reply to that; 0: there was none */
	char reply[SMTP_REPLY_SIZE];
	bool is_whole;   /* the message was given to its end */
	bool needs_utf8; /* of an address that is not ASCII (RFC 6531) */
	bool has_utf8;   /* MAIL has said so, which it does where the server has offered it */
};

/* A command that was sent, or a line of a reply: `size` bytes, which end with CRLF. */
void smtp_state_command(struct smtp_state *state, const char *line, size_t size);
void smtp_state_reply(struct smtp_state *state, const char *line, size_t size);

/* The message may not be sent: the server does not take such addresses. */
bool smtp_state_lacks_utf8(const struct smtp_state *state);

/* The transfer has failed, as `error` says: what is known of it. */
struct mail_result smtp_state_judge(const struct smtp_state *state, const char *error);

#endif
