/*
 * Login tickets: a client that has given the right password and is asked whether to sign the other device out
 * (session.on_limit = ask) gets one, and need not give the password again.
 */
#ifndef SESSION_TICKETS_H
#define SESSION_TICKETS_H

#include "session/account_tx.h"
#include "session/db.h"
#include "session/token.h"
#include "session/users.h"

#include <stdbool.h>

/* Long enough to read a page and decide. */
#define TICKET_LIFETIME_MS INT64_C(300000)

/* `key` is the SHA-256 of the ticket. An account has one: the latest. */
enum db_status tickets_issue(struct db *db, int64_t user_id, const struct session_key *key);

/*
 * DB_OK with the account on `ctx`, or with *user NULL when there is no such ticket, or the password has changed since.
 * Also when the ticket has been used, by the same `form` (NULL: none, see rule.h): then the rule decides.
 */
enum db_status tickets_find(struct db *db, TALLOC_CTX *ctx, const struct session_key *key,
                            const struct session_key *form, const struct client *client, struct user **user);

/* In a transaction: use it up. *was_there is false when another request has. */
enum db_status tickets_use(struct db *db, TALLOC_CTX *ctx, int64_t user_id, const struct session_key *key,
                           bool *was_there);

#endif
