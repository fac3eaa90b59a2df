/* The application of the comparison of platforms as a module of onesession; the second route also checks the session.
 */
#include <inttypes.h>
#include <onesession.h>

static void title(struct ones_request *req)
{
	struct ones_rows *rows;
	enum ones_result result;
	int64_t id;

	if (!ones_path_int(req, "id", &id)) {
		ones_reply_problem(req, 404, "not_found", "There is no such title.");
		return;
	}
	result = ones_sql(ones_db(req), &rows, "SELECT title, year, summary FROM catalogue.titles WHERE id = $1",
	                  ONES_VALUES(ONES_INT(id)));
	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (ones_rows_count(rows) == 0)
		ones_reply_problem(req, 404, "not_found", "There is no such title.");
	else
		ones_reply_json(req, 200,
		                json_pack("{s:I, s:s, s:I, s:s}", "id", (json_int_t)id, "title",
		                          ones_text(rows, 0, "title"), "year", (json_int_t)ones_int(rows, 0, "year"),
		                          "summary", ones_text(rows, 0, "summary")));
}

static bool setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/titles/:id", .get = title, .needs = ONES_NEEDS_DATABASE});
	ones_route(app, &(struct ones_route){.path = "/mine/titles/:id", .get = title, .signed_in = true});
	return true;
}

ONES_MODULE(.name = "catalogue", .version = "1.0", .setup = setup);
