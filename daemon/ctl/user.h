/* What the commands on accounts share. */
#ifndef CTL_USER_H
#define CTL_USER_H

#include "ctl/ctl.h"
#include "session/password.h"
#include "session/users.h"

/* Write the operator's event; `more` is as in ctl_operator_detail(). */
enum db_status user_record(struct db *db, const char *event, int64_t user_id, const char *username, json_t *more);

/*
 * The hash of a password that is asked for; of one that is easy to guess for that name or address (NULL: none) it is
 * said. Returns 0, or -1 when there is none: it has said why then.
 */
int user_ask_for_hash(const struct ctl *ctl, const char *username, const char *email, char hash[PASSWORD_HASH_SIZE]);

/* Why nobody can be invited, in a sentence; NULL: nothing is in the way. */
const char *user_invite_problem(const struct ctl *ctl);

/* In a transaction: the mail with which the account's person chooses a password. */
enum db_status user_invite(struct db *db, const struct ctl *ctl, int64_t user_id, const char *email);

/* It has an address and no password: an invitation lets its person choose one. */
bool user_is_invited(const struct user *user);

/* With its live sessions, which only a list has. DB_OK with *user NULL: the account has been deleted. */
enum db_status user_read(struct ctl *ctl, int64_t id, struct user **user);

/* A limit for people: "default", "exempt", "3"; on `ctx`, NULL when out of memory. */
const char *user_limit_text(TALLOC_CTX *ctx, int64_t limit);

/* A limit as users.session_limit holds it: a new reference, null for the default. */
json_t *user_limit_json(int64_t limit);

#endif
