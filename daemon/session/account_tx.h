/*
 * A change to an account's sessions: a transaction that holds the account's row of logged_in_user, ends sessions and
 * tells the receivers of the signals. What is changed, and when, is told by rule.c and revoke.c.
 */
#ifndef SESSION_ACCOUNT_TX_H
#define SESSION_ACCOUNT_TX_H

#include "onesession.h"
#include "session/db.h"
#include "session/session_info.h"
#include "session/signals.h"
#include "session/token.h"

#include <stddef.h>
#include <stdint.h>

/* Who is at the other end. Any may be NULL: kept with the session for people to recognise it by. */
struct client {
	const char *ip;
	const char *user_agent;
};

/* The address as a statement wants it: SQL NULL when it is not known. */
struct db_value client_ip(const struct client *client);

/* Begin one with the first four members set. */
struct account_tx {
	TALLOC_CTX *ctx;
	struct db *db;
	const struct signals *signals;
	struct client client;
	struct ones_event *events; /* told in the transaction, and once more after its commit */
	unsigned int count;
};

/*
 * Run `body` in a transaction of its own, again when that was lost (DB_CONFLICT), and tell the receivers after
 * commit. Returns DB_OK, DB_UNAVAILABLE, DB_ERROR, or DB_UNKNOWN when it is not known whether it was committed.
 */
enum db_status account_tx_run(struct account_tx *tx, enum db_status (*body)(struct account_tx *tx, void *context),
                              void *context);

/* The same for a body that does no harm when it is done twice: an outcome that is not known is settled by doing so. */
enum db_status account_tx_run_idempotent(struct account_tx *tx,
                                         enum db_status (*body)(struct account_tx *tx, void *context), void *context);

/* For an outcome that was read back: the transaction was committed, so tell the receivers after commit. */
void account_tx_committed(const struct account_tx *tx);

/*
 * All that follow are for such a body, or the caller's own transaction, and return DB_OK, or what the transaction is to
 * be rolled back for; DB_ERROR also when a receiver refused.
 */

/*
 * Have this transaction's commit wait for the synchronous standbys (if there are any), also when it changes nothing: it
 * then confirms what was committed before.
 */
enum db_status account_tx_confirm(const struct account_tx *tx);

/* Hold the account's row until the transaction ends. A row is made for it when there is none. */
enum db_status account_tx_lock(const struct account_tx *tx, int64_t user_id);

/* Take a row away that was made for the lock alone. */
enum db_status account_tx_unlock(const struct account_tx *tx, int64_t user_id);

/* Tell the receivers in the transaction, with the change's client. The event's texts, none of them NULL, must last
 * until account_tx_committed(). */
enum db_status account_tx_emit(struct account_tx *tx, const struct session_key *key, struct ones_event event);

/* End the account's session with that key; that it is not there is no error. */
enum db_status account_tx_end_by_key(struct account_tx *tx, int64_t user_id, const char *username,
                                     const struct session_key *key, enum ones_reason reason);

/*
 * End the account's session with that public id (a UUID), or all for NULL, but not the one with the key `by` (NULL:
 * none), which did it. *ended grows by how many.
 */
enum db_status account_tx_end_by_id(struct account_tx *tx, int64_t user_id, const char *username, const char *id,
                                    const struct session_key *by, enum ones_reason reason, size_t *ended);

/*
 * End what has run out, and all but the newest `limit` of the others, which the newest displaced. Those are added to
 * *displaced when that is not NULL. With a key `newest` (else NULL) later sessions than that are left alone. With a
 * limit of 0, any number, nothing is read or ended, for there may be very many: what has run out is left to the purge.
 */
enum db_status account_tx_end_beyond_limit(struct account_tx *tx, int64_t user_id, const char *username, int64_t limit,
                                           int64_t idle_timeout_ms, const struct session_key *newest,
                                           struct session_info_list *displaced);

#endif
