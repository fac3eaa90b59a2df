/*
 * Mail by SMTP, by libcurl: several at the same time, over connections that are kept. What a server says has bounds,
 * and each step and the whole a deadline. Certificates are verified wherever TLS is used.
 */
#ifndef MAIL_SMTP_H
#define MAIL_SMTP_H

#include "mail/sender.h"

struct mail_smtp;

/* On `ctx`; what `setup` points at has to stay. NULL when out of memory. */
struct mail_smtp *mail_smtp_new(TALLOC_CTX *ctx, const struct mail_setup *setup);

/* Begin to send; what `envelope` points at has to stay until its end. False when out of memory, or when there is no
 * room. */
bool mail_smtp_begin(struct mail_smtp *smtp, const struct mail_envelope *envelope);

/* Go on with all of them, for up to `wait_ms`. True: one has ended, *ended is its context and *result what it came to.
 */
bool mail_smtp_step(struct mail_smtp *smtp, int wait_ms, void **ended, struct mail_result *result);

#endif
