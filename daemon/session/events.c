#include "session/events.h"

#include "session/sql.h"

#include <stddef.h>

static struct db_value text_or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? DB_TEXT(text) : DB_NULL;
}

enum db_status events_record(struct db *db, const struct event_record *record)
{
	const struct db_value values[] = {
		DB_TEXT(record->name),
		record->user_id > 0 ? DB_INT(record->user_id) : DB_NULL,
		DB_TEXT(record->username != NULL ? record->username : ""),
		text_or_null(record->session_id),
		text_or_null(record->ip),
		DB_TEXT(record->user_agent != NULL ? record->user_agent : ""),
		text_or_null(record->detail),
	};

	return db_query(db, NULL, &sql_record_event, values, sizeof values / sizeof values[0], NULL);
}

enum db_status events_record_operator(struct db *db, const char *name, int64_t user_id, const char *username,
                                      const char *detail)
{
	const struct event_record record = {
		.name = name,
		.user_id = user_id,
		.username = username,
		.detail = detail,
	};

	return events_record(db, &record);
}

static struct event_row event_from_row(const struct db_result *rows, size_t row)
{
	return (struct event_row){
		.id = db_int(rows, row, EVENT_ID),
		.at = db_time(rows, row, EVENT_AT),
		.name = db_text(rows, row, EVENT_NAME),
		.user_id = db_is_null(rows, row, EVENT_USER_ID) ? 0 : db_int(rows, row, EVENT_USER_ID),
		.username = db_text(rows, row, EVENT_USERNAME),
		.session_id = db_text(rows, row, EVENT_SESSION_ID),
		.ip = db_text(rows, row, EVENT_IP),
		.user_agent = db_text(rows, row, EVENT_USER_AGENT),
		.detail = db_text(rows, row, EVENT_DETAIL),
	};
}

static enum db_status list(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement, int64_t user_id,
                           int64_t id, int64_t max, struct event_list *list)
{
	const struct db_value values[] = {DB_INT(user_id), DB_INT(id), DB_INT(max)};
	struct db_result *rows;
	enum db_status status = db_query(db, ctx, statement, values, 3, &rows);

	*list = (struct event_list){0};
	if (status != DB_OK)
		return status;
	list->rows = talloc_array(ctx, struct event_row, (unsigned)db_rows(rows));
	if (list->rows == NULL) {
		db_set_problem(db, "out of memory");
		return DB_ERROR;
	}
	for (; list->count < db_rows(rows); list->count++)
		list->rows[list->count] = event_from_row(rows, list->count);
	return DB_OK;
}

enum db_status events_latest(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t last, int64_t max,
                             struct event_list *found)
{
	return list(db, ctx, &sql_latest_events, user_id, last, max, found);
}

enum db_status events_after(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t after, int64_t max,
                            struct event_list *found)
{
	return list(db, ctx, &sql_events_after, user_id, after, max, found);
}

enum db_status events_settled(struct db *db, int64_t *id)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = db_query(db, scratch, &sql_settled_event, NULL, 0, &row);

	*id = status == DB_OK ? db_int(row, 0, 0) : 0;
	talloc_free(scratch);
	return status;
}
