/* Accounts are deleted with all that is kept about their person: see erase_account() in schema/0009_mail.sql. */
#ifndef SESSION_ERASURE_H
#define SESSION_ERASURE_H

#include "session/account_tx.h"
#include "session/users.h"

#include <stddef.h>
#include <stdint.h>

/*
 * In a transaction, after the account's row was updated or locked, and its delete_at has come: its sessions end, as
 * revoked, and *ended is how many; an event says that it was deleted, with `detail` (JSON, or NULL); and all of its
 * person is gone. DB_ERROR also when delete_at has not come.
 */
enum db_status erasure_run(struct account_tx *tx, const struct user *user, const char *detail, size_t *ended);

/*
 * Delete the accounts whose time has come, each in a transaction of its own, until clock_monotonic_ms() is `until_ms`
 * (0: all of them). *count is how many there were. One that cannot be deleted, as where the row of a module refers to
 * it without ON DELETE CASCADE, is logged (account_not_deleted) and left to the next time.
 */
enum db_status erasure_run_due(struct db *db, const struct signals *signals, int64_t until_ms, int64_t *count);

#endif
