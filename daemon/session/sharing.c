/* Takeovers of an account, counted, and the cooldown that follows. */
#include "session/sharing.h"

#include "session/sql.h"

enum db_status sharing_wait(const struct account_tx *tx, const struct sharing_policy *policy, int64_t user_id,
                            int64_t *wait_s)
{
	const struct db_value values[] = {DB_INT(user_id)};

	*wait_s = 0;
	if (policy->takeovers == 0 || policy->cooldown_ms == 0)
		return DB_OK;
	return db_query_int(tx->db, &sql_takeover_wait, values, 1, wait_s);
}

enum db_status sharing_count(struct account_tx *tx, const struct sharing_policy *policy, int64_t user_id,
                             const char *username, const char *session_id)
{
	const struct db_value values[] = {
		DB_INT(user_id),
		DB_INT(policy->window_ms),
		DB_INT(policy->takeovers),
		policy->cooldown_ms > 0 ? DB_INT(policy->cooldown_ms) : DB_NULL,
	};
	struct db_result *row;
	enum db_status status;

	if (policy->takeovers == 0)
		return DB_OK;
	status = db_query(tx->db, tx->ctx, &sql_count_takeover, values, 4, &row);
	if (status != DB_OK || !db_bool(row, 0, 1))
		return status;
	return account_tx_emit(tx, NULL,
	                       (struct ones_event){.signal = ONES_SIGNAL_ACCOUNT_SHARED,
	                                           .user_id = user_id,
	                                           .username = username,
	                                           .session_id = session_id,
	                                           .by_session_id = "",
	                                           .takeovers = db_int(row, 0, 0)});
}

static void read_sharing(const struct db_result *rows, size_t row, void *item)
{
	*(struct sharing_row *)item = (struct sharing_row){
		.user_id = db_int(rows, row, SHARING_USER_ID),
		.username = db_text(rows, row, SHARING_USERNAME),
		.in_window = db_int(rows, row, SHARING_IN_WINDOW),
		.in_history = db_int(rows, row, SHARING_IN_HISTORY),
		.last_at = db_time_or_never(rows, row, SHARING_LAST_AT),
		.shared_at = db_time_or_never(rows, row, SHARING_SHARED_AT),
		.cooldown_until = db_time_or_never(rows, row, SHARING_COOLDOWN_UNTIL),
	};
}

enum db_status sharing_list(struct db *db, TALLOC_CTX *ctx, int64_t window_ms, int64_t max, struct sharing_row **rows,
                            size_t *count)
{
	const struct db_value values[] = {DB_INT(window_ms), DB_INT(max)};
	enum db_status status;

	*rows = db_query_list(db, ctx, &sql_list_sharing, values, 2, sizeof **rows, read_sharing, count, &status);
	return status;
}
