/*
 * A change to an account's sessions: a transaction that holds the account's row of logged_in_user, ends sessions and
 * emits the signals to their receivers. What is changed, and when, stands in rule.c and revoke.c.
 */
#ifndef SESSION_ACCOUNT_TX_H
#define SESSION_ACCOUNT_TX_H

#include "onesession.h"
#include "session/db.h"
#include "session/emission.h"
#include "session/session_info.h"
#include "session/signals.h"
#include "session/token.h"
#include "session/transaction.h"

#include <stddef.h>
#include <stdint.h>

/* The client of a request, kept with the session so that its owner recognises it. Any member may be NULL. */
struct client {
	const char *ip;
	const char *user_agent;
	const char *language; /* of the pages that it gets, for mails; a constant */
	const char *program;  /* the token of the API by which a program has asked for it; NULL: none has */
};

/* The address as a statement wants it: SQL NULL when it is not known. */
struct db_value client_ip(const struct client *client);

/* Begin one with the first four members set, and emission.can_refuse where a receiver may refuse it. */
struct account_tx {
	TALLOC_CTX *ctx;
	struct db *db;
	const struct signals *signals;
	struct client client;
	struct emission emission; /* of the last run */
};

typedef enum db_status account_tx_body(struct account_tx *tx, void *context);

/*
 * Run `body` in a transaction of its own, and emit its events to the receivers after commit. Returns DB_OK,
 * DB_UNAVAILABLE, DB_REFUSED with the reason in tx->emission.refusal, DB_ERROR, or, but for TRANSACTION_IDEMPOTENT,
 * DB_UNKNOWN: the outcome of COMMIT is not known.
 */
enum db_status account_tx_run(struct account_tx *tx, enum transaction_retry retry, account_tx_body *body,
                              void *context);

/* For an outcome that was read back: the transaction was committed, so emit its events to the receivers after commit.
 */
void account_tx_committed(const struct account_tx *tx);

/*
 * All that follow are for such a body, or the caller's own transaction, and return DB_OK, or the status that the
 * transaction is to be rolled back for; DB_ERROR also when a receiver has failed.
 */

/* Hold the account's row until the transaction ends. A row is made for it when there is none. */
enum db_status account_tx_lock(const struct account_tx *tx, int64_t user_id);

/* Delete a row that was made for the lock alone. */
enum db_status account_tx_unlock(const struct account_tx *tx, int64_t user_id);

/* Emit the event to the receivers in the transaction, with the change's client. Its texts, none of them NULL, must last
 * until account_tx_committed(). */
enum db_status account_tx_emit(struct account_tx *tx, const struct session_key *key, struct ones_event event);

/* End the account's session with that key; that it is not there is no error. */
enum db_status account_tx_end_by_key(struct account_tx *tx, int64_t user_id, const char *username,
                                     const struct session_key *key, enum ones_reason reason);

/*
 * End the account's session with that public id (a UUID), or all for NULL, but not the one with the key `by` (NULL:
 * none), whose request it is. *ended grows by how many.
 */
enum db_status account_tx_end_by_id(struct account_tx *tx, int64_t user_id, const char *username, const char *id,
                                    const struct session_key *by, enum ones_reason reason, size_t *ended);

/*
 * End expired and idle sessions, and all but the newest `limit` of the others, which the newest displaced. Those are
 * added to *displaced when that is not NULL. With a key `newest` (else NULL) later sessions than that are left alone.
 * With a limit of 0, any number, nothing is read or ended, for there may be very many: the purge ends the expired ones.
 */
enum db_status account_tx_end_beyond_limit(struct account_tx *tx, int64_t user_id, const char *username, int64_t limit,
                                           int64_t idle_timeout_ms, const struct session_key *newest,
                                           struct session_info_list *displaced);

#endif
