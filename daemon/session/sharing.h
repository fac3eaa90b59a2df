/* Shared accounts: how often sessions of an account are displaced, and what follows ([sharing]). */
#ifndef SESSION_SHARING_H
#define SESSION_SHARING_H

#include "session/account_tx.h"

#include <stdint.h>

struct sharing_policy {
	int64_t takeovers; /* as many in a window are sharing; 0: nothing is counted */
	int64_t window_ms;
	int64_t cooldown_ms; /* how long other devices wait then; 0: they do not */
};

/* Within a change that holds the account's row. *wait_s: how long until its sessions may be displaced, 0 for at once.
 */
enum db_status sharing_wait(const struct account_tx *tx, const struct sharing_policy *policy, int64_t user_id,
                            int64_t *wait_s);

/* Likewise: the session `session_id` has displaced others. Sends account_shared, once in a window. */
enum db_status sharing_count(struct account_tx *tx, const struct sharing_policy *policy, int64_t user_id,
                             const char *username, const char *session_id);

/* What is known of an account's takeovers. Times in us since 1970, 0: never, not now. */
struct sharing_row {
	int64_t user_id;
	const char *username;
	int64_t in_window;
	int64_t in_history; /* over session.history */
	int64_t last_at;
	int64_t shared_at;
	int64_t cooldown_until;
};

/* The `max` accounts with the most takeovers, on `ctx`. Reads all of ended_sessions: for operators. */
enum db_status sharing_list(struct db *db, TALLOC_CTX *ctx, int64_t window_ms, int64_t max, struct sharing_row **rows,
                            size_t *count);

#endif
