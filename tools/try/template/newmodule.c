/* newmodule: notes that each account keeps for itself. */
#include <onesession.h>
#include <stdlib.h>

/* For ones_setting() in handlers. */
static struct ones_app *kept;

/* How many notes are shown: [newmodule] shown in the configuration. */
static int64_t shown(void)
{
	const char *number = ones_setting(kept, "shown");

	return number != NULL ? strtoll(number, NULL, 10) : 100;
}

/* GET /newmodule/: a page for people, JSON for programs. */
static void list(struct ones_request *req)
{
	const struct ones_user *user = &ones_session(req)->user;
	struct ones_rows *rows;
	enum ones_result result =
		ones_sql(ones_db(req), &rows,
	                 "SELECT id, text FROM \"newmodule\".notes WHERE user_id = $1 ORDER BY id DESC LIMIT $2",
	                 ONES_VALUES(ONES_INT(user->id), ONES_INT(shown())));

	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (ones_is_program(req))
		ones_reply_json(req, 200, json_pack("{s:o}", "notes", ones_rows_json(rows)));
	else
		ones_reply_page(req, 200, "notes.html",
		                json_pack("{s:s, s:o}", "username", user->username, "notes", ones_rows_json(rows)));
}

/* POST /newmodule/: the field text, of a form or of JSON. */
static void add(struct ones_request *req)
{
	const char *text = ones_field(req, "text");
	enum ones_result result;

	if (text == NULL || text[0] == '\0') {
		ones_reply_problem(req, 400, "no_text", "A note needs a text.");
		return;
	}
	result = ones_sql(ones_db(req), NULL, "INSERT INTO \"newmodule\".notes (user_id, text) VALUES ($1, $2)",
	                  ONES_VALUES(ONES_INT(ones_session(req)->user.id), ONES_TEXT(text)));
	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else
		ones_reply_redirect(req, ones_module_url(req, "/"));
}

/* POST /newmodule/7/remove: a form cannot send DELETE. A note of another account is none. */
static void take_away(struct ones_request *req)
{
	enum ones_result result = ONES_RESULT_OK;
	struct ones_rows *rows = NULL;
	int64_t id;

	if (ones_path_int(req, "id", &id))
		result = ones_sql(ones_db(req), &rows,
		                  "DELETE FROM \"newmodule\".notes WHERE id = $1 AND user_id = $2 RETURNING id",
		                  ONES_VALUES(ONES_INT(id), ONES_INT(ones_session(req)->user.id)));
	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (ones_rows_count(rows) == 0)
		ones_reply_problem(req, 404, "not_found", "There is no such note.");
	else
		ones_reply_redirect(req, ones_module_url(req, "/"));
}

static bool setup(struct ones_app *app)
{
	kept = app;
	ones_route(app, &(struct ones_route){.path = "/", .get = list, .post = add, .signed_in = true});
	ones_route(app, &(struct ones_route){.path = "/:id/remove", .post = take_away, .signed_in = true});
	return true;
}

ONES_MODULE(.name = "newmodule", .version = "0.1", .setup = setup, .pages = "newmodule/pages",
            .migrations = "newmodule/migrations");
