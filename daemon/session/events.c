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
