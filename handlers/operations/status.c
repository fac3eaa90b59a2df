/* GET /status: what each worker does at this moment. For operators. */
#include "operations.h"

static void status(struct ones_request *req)
{
	ones_header(req, "Cache-Control", "no-store");
	ones_reply_json(req, 200, ones_status_json(req));
}

void status_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){
				.path = "/status", .get = status, .needs = ONES_NEEDS_NOTHING, .operators_only = true});
}
