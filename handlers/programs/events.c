/*
 * GET /api/events: what has happened, page by page, none missed and none twice.
 *
 * Ids are taken before rows can be seen, so an event may come to be seen after others with higher ids. The order here
 * is that of the transactions which have written them (events.written_by), and within one that of the ids; only events
 * of transactions before all that are still under way are given. What is written later has a later transaction, so that
 * nothing can come in between. An open transaction holds all later events up, and loses none.
 */
#include "programs.h"

#define COLUMNS "e.id, e.at, e.name, e.user_id, e.username, e.session_id, host(e.ip) AS ip, e.user_agent, e.detail"

/* Is the event still there after which the page begins, and are there any that another server has numbered? */
static enum ones_result look(struct ones_db *db, int64_t after, bool *is_there)
{
	static const char sql[] = "SELECT $1 = 0 OR EXISTS (SELECT FROM events WHERE id = $1) AS is_there,"
				  " coalesce((SELECT written_by >= pg_snapshot_xmax(pg_current_snapshot()) FROM events"
				  "            ORDER BY written_by DESC, id DESC LIMIT 1), false) AS is_restored";
	struct ones_rows *rows;
	enum ones_result result = ones_sql(db, &rows, sql, ONES_VALUES(ONES_INT(after)));

	if (result != ONES_RESULT_OK)
		return result;
	*is_there = ones_bool(rows, 0, "is_there");
	return ones_bool(rows, 0, "is_restored") ? ones_sql(db, NULL, "SELECT settle_events()", NULL, 0) : result;
}

static enum ones_result read_page(struct ones_db *db, int64_t after, int64_t limit, struct ones_rows **rows)
{
	static const char sql[] =
		"SELECT " COLUMNS " FROM events e"
		" WHERE (e.written_by, e.id) > (coalesce((SELECT written_by FROM events WHERE id = $1), '0'), $1)"
		"   AND e.written_by < pg_snapshot_xmin(pg_current_snapshot())"
		" ORDER BY e.written_by, e.id LIMIT $2";

	return ones_sql(db, rows, sql, ONES_VALUES(ONES_INT(after), ONES_INT(limit)));
}

static void list(struct ones_request *req)
{
	struct ones_db *db = ones_db(req);
	struct ones_rows *rows = NULL;
	int64_t after, limit;
	bool is_there = false;
	enum ones_result result;
	size_t count;

	if (!read_number(req, "after", 0, 0, INT64_MAX, &after) ||
	    !read_number(req, "limit", LIST_DEFAULT, 1, LIST_MAX, &limit))
		return;
	result = look(db, after, &is_there);
	if (result == ONES_RESULT_OK && is_there)
		result = read_page(db, after, limit, &rows);
	if (result != ONES_RESULT_OK) {
		ones_reply_failure(req, result, NULL);
		return;
	}
	if (!is_there) {
		ones_reply_problem(
			req, 410, "gone",
			"That event is not there any more (session.history): some may be missing. Begin anew "
			"without after.");
		return;
	}
	count = ones_rows_count(rows);
	ones_reply_json(req, 200,
	                json_pack("{s:o, s:I}", "events", ones_rows_json(rows), "next",
	                          (json_int_t)(count > 0 ? ones_int(rows, count - 1, "id") : after)));
}

void api_events_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/api/events",
	                                     .get = list,
	                                     .needs = ONES_NEEDS_DATABASE,
	                                     .bodies = ONES_BODY_JSON,
	                                     .scope = "events"});
}
