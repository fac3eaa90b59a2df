/* Ending sessions on an operator's word. */
#ifndef SESSION_REVOKE_H
#define SESSION_REVOKE_H

#include "session/change.h"
#include "session/users.h"

/*
 * End sessions as revoked: of `user_id` (0: of everybody), only the one whose public id is `id` (a UUID) when that is
 * not NULL. Each account is done in a transaction of its own. *ended is how many.
 */
enum db_status revoke_sessions(struct db *db, const struct signals *signals, TALLOC_CTX *ctx, int64_t user_id,
                               const char *id, size_t *ended);

/*
 * End all sessions of one account in the caller's transaction, which changes the account. The caller has updated
 * its row in `users` before, so that no login comes in between. Receivers after commit are not called.
 */
enum db_status revoke_all_of_account(struct db *db, const struct signals *signals, TALLOC_CTX *ctx,
                                     const struct user *user, enum ones_reason reason, size_t *ended);

#endif
