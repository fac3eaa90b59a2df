/* An account's sessions as its user sees them. */
#include "session/session_info.h"

#include "session/reason.h"
#include "session/session_info_sql.h"
#include "session/sql.h"

bool session_info_add(TALLOC_CTX *ctx, struct session_info_list *list, const struct session_info *info)
{
	struct session_info *grown = talloc_realloc(ctx, list->all, struct session_info, list->count + 1);

	if (grown == NULL)
		return false;
	list->all = grown;
	list->all[list->count++] = *info;
	return true;
}

static struct session_info session_info_from_row(const struct db_result *rows, size_t row)
{
	return (struct session_info){
		.id = db_text(rows, row, SESSION_INFO_ID),
		.created_at = db_time(rows, row, SESSION_INFO_CREATED_AT),
		.last_seen_at = db_time(rows, row, SESSION_INFO_LAST_SEEN_AT),
		.expires_at = db_time(rows, row, SESSION_INFO_EXPIRES_AT),
		.user_agent = db_text(rows, row, SESSION_INFO_USER_AGENT),
		.ip = db_text(rows, row, SESSION_INFO_IP),
	};
}

enum db_status session_info_from_rows(TALLOC_CTX *ctx, const struct db_result *rows, struct session_info_list *list)
{
	*list = (struct session_info_list){.count = (unsigned int)db_rows(rows)};
	list->all = talloc_array(ctx, struct session_info, list->count);
	if (list->all == NULL)
		return DB_ERROR;
	for (unsigned int i = 0; i < list->count; i++)
		list->all[i] = session_info_from_row(rows, i);
	return DB_OK;
}

enum db_status session_info_live(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t idle_timeout_ms,
                                 struct session_info_list *list)
{
	const struct db_value values[] = {DB_INT(user_id), DB_INT(idle_timeout_ms), DB_INT(SESSION_INFO_LIVE_MAX),
	                                  DB_INT(SESSION_INFO_READ_MAX)};
	struct db_result *rows;
	enum db_status status = db_query(db, ctx, &sql_session_info_live, values, 4, &rows);

	return status == DB_OK ? session_info_from_rows(ctx, rows, list) : status;
}

static void read_ended(const struct db_result *rows, size_t row, void *item)
{
	*(struct ended_session_info *)item = (struct ended_session_info){
		.place = {.id = db_text(rows, row, ENDED_INFO_ID),
	                  .created_at = db_time(rows, row, ENDED_INFO_CREATED_AT),
	                  .last_seen_at = db_time(rows, row, ENDED_INFO_LAST_SEEN_AT),
	                  .user_agent = db_text(rows, row, ENDED_INFO_USER_AGENT),
	                  .ip = db_text(rows, row, ENDED_INFO_IP)},
		.reason = reason_from_code(db_text(rows, row, ENDED_INFO_REASON)),
		.ended_at = db_time(rows, row, ENDED_INFO_ENDED_AT),
		.by_user_agent = db_text(rows, row, ENDED_INFO_BY_USER_AGENT),
		.by_ip = db_text(rows, row, ENDED_INFO_BY_IP),
	};
}

enum db_status session_info_ended(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t max,
                                  struct ended_session_info **all, size_t *count)
{
	const struct db_value values[] = {DB_INT(user_id), DB_INT(max)};
	enum db_status status;

	*all = db_query_list(db, ctx, &sql_session_info_ended, values, 2, sizeof **all, read_ended, count, &status);
	return status;
}
