/* Ending sessions by an operator. */
#ifndef SESSION_REVOKE_H
#define SESSION_REVOKE_H

#include "session/account_tx.h"
#include "session/users.h"

/* Which sessions revoke_sessions() ends, and how that is recorded. */
struct revocation {
	int64_t user_id; /* 0: of all accounts */
	const char *id;  /* only the session with this public id (a UUID), or NULL */
	/*
	 * Called in the transaction of each account of which sessions ended; what it returns is as that of a statement.
	 * `context` is the caller's.
	 */
	enum db_status (*record_end)(struct db *db, int64_t user_id, const char *username, size_t ended, void *context);
	void *context;
};

/* End sessions as revoked. Each account is done in a transaction of its own. *ended is how many. */
enum db_status revoke_sessions(struct db *db, const struct signals *signals, TALLOC_CTX *ctx,
                               const struct revocation *revocation, size_t *ended);

/* For a transaction of the caller's: end the session of the account with that public id, or all for NULL. */
enum db_status revoke_locked(struct account_tx *tx, int64_t user_id, const char *username, const char *id,
                             enum ones_reason reason, size_t *ended);

/*
 * End all sessions of one account in the caller's transaction, which changes the account. The caller has updated
 * its row in `users` before, so that no login comes in between. Receivers after commit are not called.
 */
enum db_status revoke_all_of_account(struct db *db, const struct signals *signals, TALLOC_CTX *ctx,
                                     const struct user *user, enum ones_reason reason, size_t *ended);

#endif
