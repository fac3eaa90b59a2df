/* Links and codes of mails: found, tried, used up. Only their SHA-256 is known here. */
#ifndef SESSION_MAIL_TOKENS_H
#define SESSION_MAIL_TOKENS_H

#include "session/db.h"
#include "session/token.h"

#include <stdbool.h>
#include <stdint.h>

/* A code is void after so many wrong ones; the link that came with it is not. */
#define MAIL_CODE_TRIES 3
/* So many wrong ones are tried for an account in a day, of all its codes. */
#define MAIL_CODE_TRIES_DAY 10
#define MAIL_CODE_LENGTH    8

/* That of another address for an account, which ends with the session that somebody may have asked for it in. */
#define MAIL_PURPOSE_EMAIL "email"

struct mail_token {
	struct session_key key;
	int64_t user_id; /* 0: none */
	const char *recipient;
	const char *purpose;
	const char *data;            /* JSON */
	int64_t sent_at, expires_at; /* us since 1970 */
};

/*
 * That of a link, on `ctx`, by the 43 characters; NULL when there is none of one of the purposes, which are separated
 * by spaces. Nothing is changed.
 */
enum db_status mail_tokens_find(struct db *db, TALLOC_CTX *ctx, const char *purposes, const char *token,
                                struct mail_token **found);

/*
 * The one that has a code among those of an account, by its name or verified address, or of an address; NULL when none
 * has, which counts as a try, in a transaction of its own. Takes the same time whether there is such an account or not.
 */
enum db_status mail_tokens_try_code(struct db *db, TALLOC_CTX *ctx, const char *purposes, const char *login,
                                    const char *code, struct mail_token **found);

/* Use it up, with all others of its purpose and account; *was_there is false when somebody else has. */
enum db_status mail_tokens_use(struct db *db, const struct session_key *key, const char *purpose, bool *was_there);

/*
 * All of an account are void, with those of notices to addresses that it has given up: what anybody has asked for, or
 * was sent, before an operator repaired it.
 */
enum db_status mail_tokens_withdraw(struct db *db, int64_t user_id);

/* Those of an account are void; of all purposes for NULL. */
enum db_status mail_tokens_drop(struct db *db, int64_t user_id, const char *purpose);

#endif
