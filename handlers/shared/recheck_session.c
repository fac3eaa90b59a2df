/* Whether the session of a request is still there, in the transaction of what is done by it. */
#include "shared.h"

enum ones_result recheck_session(struct ones_db *db, const struct ones_session *session)
{
	static const char sql[] = "SELECT FROM sessions WHERE user_id = $1 AND id = $2::text::uuid FOR KEY SHARE";
	struct ones_rows *rows;
	enum ones_result result =
		ones_sql(db, &rows, sql, ONES_VALUES(ONES_INT(session->user.id), ONES_TEXT(session->id)));

	return result == ONES_RESULT_OK && ones_rows_count(rows) == 0 ? ONES_RESULT_ENDED : result;
}
