/* cinema: a small cinema, as a module of onesession. Its parts, and what they share. */
#include "cinema.h"

static const struct ones_app *cinema;

void show(struct ones_request *req, const char *page, json_t *values)
{
	const struct ones_session *session = ones_session(req);
	json_t *common =
		json_pack("{s:s, s:b, s:b}", "username", session != NULL ? session->user.username : "", "is_admin",
	                  session != NULL && session->user.is_admin, "is_demo", ones_setting(cinema, "demo") != NULL);

	if (json_object_update(values, common) != 0) {
		json_decref(values);
		values = NULL;
	}
	json_decref(common);
	ones_reply_page(req, 200, page, values);
}

int64_t account_of(const struct ones_request *req)
{
	const struct ones_session *session = ones_session(req);

	return session != NULL ? session->user.id : 0;
}

int64_t id_of(const struct ones_request *req)
{
	int64_t id;

	return ones_path_int(req, "id", &id) ? id : 0;
}

bool read_row(struct ones_request *req, struct ones_rows **row, const char *sql, const struct ones_value values[],
              size_t count)
{
	enum ones_result result = ones_sql(ones_db(req), row, sql, values, count);

	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (ones_rows_count(*row) == 0)
		ones_reply_problem(req, 404, "not_found", "There is no such thing in this cinema.");
	else
		return true;
	return false;
}

static void style(struct ones_request *req)
{
	ones_reply_file(req, "cinema.css", "text/css; charset=utf-8");
}

static void player(struct ones_request *req)
{
	ones_reply_file(req, "player.js", "text/javascript; charset=utf-8");
}

static bool setup(struct ones_app *app)
{
	cinema = app;
	ones_error_page(app, "problem.html");
	ones_route(app, &(struct ones_route){.path = "/cinema.css", .get = style, .needs = ONES_NEEDS_NOTHING});
	ones_route(app, &(struct ones_route){.path = "/player.js", .get = player, .needs = ONES_NEEDS_NOTHING});
	catalogue_setup(app);
	watching_setup(app);
	covers_setup(app);
	plans_setup(app);
	billing_setup(app);
	return true;
}

ONES_MODULE(.name = "cinema", .version = "1.0", .pages = "cinema/pages", .migrations = "cinema/migrations",
            .setup = setup);
