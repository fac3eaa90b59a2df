/*
 * GET /ready: 200 while requests can be served, 503 while the database is away. For machines. Other faults of the
 * database are warnings: live sessions go on, so no balancer is to take this host out for them.
 */
#include "operations.h"

static void ready(struct ones_request *req)
{
	ones_header(req, "Cache-Control", "no-store");
	if (ones_database_ready(req))
		ones_reply_json(req, 200,
		                json_pack("{s:s, s:o}", "status", "ready", "warnings", ones_database_warnings(req)));
	else
		ones_reply_failure(req, ONES_RESULT_UNAVAILABLE, NULL);
}

void ready_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/ready", .get = ready, .needs = ONES_NEEDS_DATABASE});
}
