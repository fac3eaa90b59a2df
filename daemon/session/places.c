#include "session/places.h"

#include "session/reason.h"
#include "session/places_sql.h"
#include "session/sql.h"

bool places_add(TALLOC_CTX *ctx, struct place_list *list, const struct session_place *place)
{
	struct session_place *grown = talloc_realloc(ctx, list->all, struct session_place, list->count + 1);

	if (grown == NULL)
		return false;
	list->all = grown;
	list->all[list->count++] = *place;
	return true;
}

static struct session_place place_from_row(const struct db_result *rows, size_t row)
{
	return (struct session_place){
		.id = db_text(rows, row, PLACE_ID),
		.created_at = db_time(rows, row, PLACE_CREATED_AT),
		.last_seen_at = db_time(rows, row, PLACE_LAST_SEEN_AT),
		.expires_at = db_time(rows, row, PLACE_EXPIRES_AT),
		.user_agent = db_text(rows, row, PLACE_USER_AGENT),
		.ip = db_text(rows, row, PLACE_IP),
	};
}

enum db_status places_from_rows(TALLOC_CTX *ctx, const struct db_result *rows, struct place_list *list)
{
	*list = (struct place_list){.count = (unsigned int)db_rows(rows)};
	list->all = talloc_array(ctx, struct session_place, list->count);
	if (list->all == NULL)
		return DB_ERROR;
	for (unsigned int i = 0; i < list->count; i++)
		list->all[i] = place_from_row(rows, i);
	return DB_OK;
}

enum db_status places_live(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t idle_timeout_ms,
                           struct place_list *list)
{
	const struct db_value values[] = {DB_INT(user_id), DB_INT(idle_timeout_ms), DB_INT(PLACES_LIVE_MAX),
	                                  DB_INT(PLACES_LOOKED_AT_MAX)};
	struct db_result *rows;
	enum db_status status = db_query(db, ctx, &sql_places_live, values, 4, &rows);

	return status == DB_OK ? places_from_rows(ctx, rows, list) : status;
}

enum db_status places_past(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t max, struct past_place **all,
                           size_t *count)
{
	const struct db_value values[] = {DB_INT(user_id), DB_INT(max)};
	struct db_result *rows;
	enum db_status status = db_query(db, ctx, &sql_places_past, values, 2, &rows);

	*count = 0;
	if (status != DB_OK)
		return status;
	*all = talloc_array(ctx, struct past_place, (unsigned)db_rows(rows));
	if (*all == NULL)
		return DB_ERROR;
	for (; *count < db_rows(rows); ++*count) {
		size_t row = *count;

		(*all)[row] = (struct past_place){
			.place = {.id = db_text(rows, row, PAST_ID),
		                  .created_at = db_time(rows, row, PAST_CREATED_AT),
		                  .last_seen_at = db_time(rows, row, PAST_LAST_SEEN_AT),
		                  .user_agent = db_text(rows, row, PAST_USER_AGENT),
		                  .ip = db_text(rows, row, PAST_IP)},
			.reason = reason_from_code(db_text(rows, row, PAST_REASON)),
			.ended_at = db_time(rows, row, PAST_ENDED_AT),
			.by_user_agent = db_text(rows, row, PAST_BY_USER_AGENT),
			.by_ip = db_text(rows, row, PAST_BY_IP),
		};
	}
	return DB_OK;
}
