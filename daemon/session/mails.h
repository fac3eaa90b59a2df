/*
 * Mails as rows of `mails`: written in the transaction that causes them, claimed by the process that sends them, and
 * what became of them. How they are written and sent is not known here.
 */
#ifndef SESSION_MAILS_H
#define SESSION_MAILS_H

#include "session/db.h"
#include "session/mail_tokens.h"
#include "session/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A mail as it is written. Texts may be NULL where it says so. */
struct mail_draft {
	const char *module;
	const char *kind;
	const char *kind_if_taken; /* in its place, without link and code, if another account has the recipient's
	                              address; NULL: it stays what it is */
	int64_t user_id;           /* 0: it concerns no account, or it is not known which */
	const char *login;         /* whose address it is to be sent to; NULL: not by that */
	const char *recipient;     /* NULL: the account's verified address */
	const char *language;
	const char *data;    /* JSON */
	const char *purpose; /* NULL: it has neither link nor code */
	int64_t lifetime_ms; /* of these */
	const char *path;    /* NULL: it has no link */
	bool is_notice;      /* a newer mail of its purpose does not replace it */
};

/* Write it. DB_OK also when its account has gone meanwhile: then there is nothing to write. */
enum db_status mails_add(struct db *db, const struct mail_draft *draft);

/* One that this process is to send. Texts are never NULL, and on the context of the claim. */
struct mail_row {
	int64_t id;
	const char *message_id; /* a UUID */
	const char *module;
	const char *kind;
	int64_t user_id; /* 0: none */
	const char *username;
	const char *address; /* "": there is nobody to send it to */
	const char *language;
	const char *data;
	const char *purpose; /* "": none */
	int64_t lifetime_ms;
	const char *path; /* "": none */
	bool has_slot;    /* mail.per_domain lets it go */
};

/* What stands behind the @ of its address; "" when it has none. */
const char *mail_row_domain(const struct mail_row *row);

/* Who sends, and by what rules. */
struct mail_sending {
	struct db *db;
	char claim[CLAIM_SIZE];
	int64_t lease_ms;                        /* for so long nobody else takes what was claimed */
	int64_t per_recipient, per_recipient_ms; /* 0: any number */
	int64_t per_domain_ms;                   /* between two mails to one domain; 0: none */
};

/*
 * Claim one that is due; *row is on `ctx`, NULL: there is none. None that is written to an address in `but_domain`, as
 * email_parse() gives it; NULL: any. What goes to an account's own address is not looked at for that.
 */
enum db_status mails_claim(const struct mail_sending *sending, TALLOC_CTX *ctx, const char *but_domain,
                           struct mail_row **row);

/* What a mail's link and code are, and their keys: the texts are in the mail, the keys in the database. */
struct mail_secrets {
	char token[TOKEN_LENGTH + 1];
	char code[MAIL_CODE_LENGTH + 1];
	struct session_key token_key, code_key;
};

void mail_secrets_make(struct mail_secrets *secrets);

enum mail_begun {
	MAIL_BEGUN,
	MAIL_POSTPONED,  /* it has to wait for its domain or its recipient */
	MAIL_LIMITED,    /* its recipient has mail.per_recipient of its kind: it is over */
	MAIL_SUPERSEDED, /* a newer one of its purpose was sent: it is gone */
	MAIL_NOT_OURS,   /* another process has it, or it was dropped */
};

/*
 * Begin to send one: the token counts from now on. What is not begun is not claimed any more. *begun is MAIL_NOT_OURS
 * on anything but DB_OK.
 */
enum db_status mails_begin(const struct mail_sending *sending, const struct mail_row *row,
                           const struct mail_secrets *secrets, enum mail_begun *begun);

/* What became of it. Of these each is written in one statement, and may be called again after a failure. */
enum db_status mails_sent(const struct mail_sending *sending, const struct mail_row *row);

struct mail_failure {
	const char *problem;
	bool is_final;
	bool may_have_arrived; /* then its token stays valid */
};

/* *is_dead, or when it is tried again. */
enum db_status mails_failed(const struct mail_sending *sending, const struct mail_row *row,
                            const struct mail_secrets *secrets, const struct mail_failure *failure, bool *is_dead,
                            int64_t *pause_ms);

/* It was not sent because of the server, not because of itself; `problem` NULL: nor because of that. */
enum db_status mails_release(const struct mail_sending *sending, const struct mail_row *row,
                             const struct mail_secrets *secrets, const char *problem);

/* There is nobody to send it to: it is gone. */
enum db_status mails_forget(const struct mail_sending *sending, const struct mail_row *row);

/*
 * Of those that wait for a server that is away, give up what has waited for too long; with `is_long_past` only what
 * should have been given up so long ago that no try of it was to come. Rows as far as they are known.
 */
enum db_status mails_give_up(const struct mail_sending *sending, TALLOC_CTX *ctx, const char *problem,
                             bool is_long_past, struct mail_row **rows, size_t *count);

struct mail_queue {
	int64_t count;
	int64_t oldest_ms; /* for how long the oldest one waits */
};

enum db_status mails_queue(struct db *db, struct mail_queue *queue);

/* ---- For operators ------------------------------------------------------------------------------------------- */

struct mail_shown {
	int64_t id;
	const char *state;
	const char *module;
	const char *kind;
	int64_t user_id;
	const char *username;
	const char *address; /* "": it is not known yet */
	const char *language;
	const char *purpose;
	int64_t attempts;
	int64_t created_at, next_at, ended_at; /* us since 1970; 0: it has not ended */
	const char *problem;
	bool is_being_sent;
	const char *message_id;
	const char *data; /* JSON */
};

struct mail_filter {
	int64_t id;        /* 0: all */
	const char *state; /* NULL: all */
	int64_t user_id;   /* 0: all */
	int64_t max;       /* -1: all */
};

/* The newest first, on `ctx`. */
enum db_status mails_list(struct db *db, TALLOC_CTX *ctx, const struct mail_filter *filter, struct mail_shown **rows,
                          size_t *count);

/* Send it again at once, 0: all that are dead. What is being sent is left alone. *count is how many there were. */
enum db_status mails_retry(struct db *db, int64_t id, size_t *count);

/* Delete it, and do not send it; *was_there is false also while it is being sent. */
enum db_status mails_drop(struct db *db, int64_t id, bool *was_there);

#endif
