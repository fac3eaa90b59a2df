/* GET /health: this process is alive, whatever the database does. For machines. */
#include "operations.h"

static void health(struct ones_request *req)
{
	ones_header(req, "Cache-Control", "no-store");
	ones_reply_json(req, 200, json_pack("{s:s}", "status", "ok"));
}

void health_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/health", .get = health, .needs = ONES_NEEDS_NOTHING});
}
