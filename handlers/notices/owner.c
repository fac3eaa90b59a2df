/* Whom notices are for. */
#include "notices.h"

enum ones_result owner_find(struct ones_db *db, int64_t user_id, struct owner *owner)
{
	static const char sql[] = "SELECT notify_new_browser, email_verified_at IS NOT NULL AS is_reached,"
				  " coalesce(language, '') AS language, statement_timestamp() AS now FROM users"
				  " WHERE id = $1";
	struct ones_rows *rows;
	enum ones_result result = ones_sql(db, &rows, sql, ONES_VALUES(ONES_INT(user_id)));

	*owner = (struct owner){.language = ""};
	if (result == ONES_RESULT_OK && ones_rows_count(rows) > 0)
		*owner = (struct owner){
			.wants_new_browser = ones_bool(rows, 0, "notify_new_browser"),
			.is_reached = ones_bool(rows, 0, "is_reached"),
			.language = ones_text(rows, 0, "language"),
			.now = ones_time_at(rows, 0, "now"),
		};
	return result;
}
