#include "session/sharing.h"

#include "session/sql.h"

enum db_status sharing_wait(const struct change *change, const struct sharing_policy *policy, int64_t user_id,
                            int64_t *wait_s)
{
	const struct db_value values[] = {DB_INT(user_id)};
	struct db_result *row;
	enum db_status status;

	*wait_s = 0;
	if (policy->takeovers == 0 || policy->cooldown_ms == 0)
		return DB_OK;
	status = db_query(change->db, change->ctx, &sql_takeover_wait, values, 1, &row);
	if (status == DB_OK && db_rows(row) > 0)
		*wait_s = db_int(row, 0, 0);
	return status;
}

enum db_status sharing_count(struct change *change, const struct sharing_policy *policy, int64_t user_id,
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
	status = db_query(change->db, change->ctx, &sql_count_takeover, values, 4, &row);
	if (status != DB_OK || !db_bool(row, 0, 1))
		return status;
	return change_tell(change, NULL,
	                   (struct ones_event){.signal = ONES_ACCOUNT_SHARED,
	                                       .user_id = user_id,
	                                       .username = username,
	                                       .session_id = session_id,
	                                       .by_session_id = "",
	                                       .takeovers = db_int(row, 0, 0)});
}
