/* GET /titles/:id/film: the film itself. PUT /titles/:id/position: how far the account has come in it. */
#include "cinema.h"

static void film(struct ones_request *req)
{
	static const char sql[] = "SELECT film || '.webm' AS file, cinema.barred($2, id) AS barred"
				  " FROM cinema.titles WHERE id = $1";
	const char *barred;
	struct ones_rows *row;

	if (!read_row(req, &row, sql, ONES_VALUES(ONES_INT(id_of(req)), ONES_INT(account_of(req)))))
		return;
	barred = ones_text(row, 0, "barred");
	if (barred != NULL)
		ones_reply_problem(req, 403, "plan_required", barred);
	else
		ones_reply_stored(req, "films", ones_text(row, 0, "file"), "video/webm");
}

static void keep_position(struct ones_request *req)
{
	static const char sql[] =
		"INSERT INTO cinema.positions (account, title, seconds)"
		" SELECT $2::bigint, id, least(greatest($3::bigint, 0), seconds) FROM cinema.titles WHERE id = $1"
		" ON CONFLICT (account, title) DO UPDATE SET seconds = excluded.seconds, watched_at = now() RETURNING "
		"title";
	const json_t *seconds = json_object_get(ones_json(req), "seconds");
	struct ones_rows *row;

	if (!json_is_integer(seconds))
		ones_reply_problem(req, 400, "bad_request", "A position is {\"seconds\": a whole number}.");
	else if (read_row(req, &row, sql,
	                  ONES_VALUES(ONES_INT(id_of(req)), ONES_INT(account_of(req)),
	                              ONES_INT(json_integer_value(seconds)))))
		ones_reply_empty(req, 204);
}

void watching_setup(struct ones_app *app)
{
	ones_folder(app, "films", "films");
	ones_route(app, &(struct ones_route){.path = "/titles/:id/film", .get = film, .signed_in = true});
	ones_route(app, &(struct ones_route){.path = "/titles/:id/position",
	                                     .put = keep_position,
	                                     .bodies = ONES_BODY_JSON,
	                                     .signed_in = true});
}
