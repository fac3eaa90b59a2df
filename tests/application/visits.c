/* GET /visits: the number of visits of this browser. */
#include "application.h"

static void visits(struct ones_request *req)
{
	json_int_t count = json_integer_value(ones_data_get(req, "visits")) + 1;

	if (!ones_data_set(req, "visits", json_integer(count)))
		ones_reply_problem(req, 500, "internal", "The visit cannot be counted.");
	else
		ones_reply_json(req, 200, json_pack("{s:I}", "visits", count));
}

void visits_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/visits", .get = visits, .needs = ONES_NEEDS_SESSION_DATA});
}
