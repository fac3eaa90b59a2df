/* Sending mails, by SMTP or by a program, as mail.server says. */
#ifndef MAIL_SENDER_H
#define MAIL_SENDER_H

#include "base/mail_settings.h"
#include "base/settings.h"
#include "mail/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* So many are under way at the same time. */
#define MAIL_AT_ONCE 4
/* And of these to one domain, where the mails to it are written to an address: the last place is for others. */
#define MAIL_AT_ONCE_TO_DOMAIN (MAIL_AT_ONCE - 1)

struct mail_setup {
	struct mail_server server;
	enum mail_tls tls;
	const char *ca_file; /* "": what this machine trusts */
	const char *user;    /* "": no AUTH */
	const char *password;
	const char *hello; /* what we call ourselves: a host's name */
	int program;       /* of sendmail: what mail_program_serve() has returned */
	struct mail_from from;
	int64_t timeout_ms;
	/* Lines that were said and answered, without credentials, for operators, from another thread; NULL: none. */
	void (*listen)(void *context, char direction, const char *line);
	void *listen_context;
};

/*
 * *setup as the settings say, on `ctx`, with the password read from its file. Returns NULL, or what is wrong, on `ctx`
 * or a constant.
 */
const char *mail_setup_load(TALLOC_CTX *ctx, const struct settings *settings, struct mail_setup *setup);

/* Overwrite the password. */
void mail_setup_forget(struct mail_setup *setup);

/* One to be sent. */
struct mail_envelope {
	const char *to;
	const char *message; /* as mail_message_compose() makes it */
	size_t size;
	void *context; /* given back at its end */
};

struct mail_sender;

/* On `ctx`; what `setup` points at has to stay. NULL when out of memory. */
struct mail_sender *mail_sender_new(TALLOC_CTX *ctx, const struct mail_setup *setup);

/* How many can be begun now. */
size_t mail_sender_room(const struct mail_sender *sender);

/* Begin to send; what `envelope` points at has to stay until its end. False when out of memory or there is no room. */
bool mail_sender_begin(struct mail_sender *sender, const struct mail_envelope *envelope);

/* Go on with all of them, for up to `wait_ms`. True: one has ended, *ended is its context and *result what it came to.
 */
bool mail_sender_step(struct mail_sender *sender, int wait_ms, void **ended, struct mail_result *result);

#endif
