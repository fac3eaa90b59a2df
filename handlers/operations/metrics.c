/* GET /metrics: what has been counted, for Prometheus and its like. For operators. */
#include "operations.h"

static void metrics(struct ones_request *req)
{
	ones_header(req, "Cache-Control", "no-store");
	ones_reply_metrics(req);
}

void metrics_setup(struct ones_app *app)
{
	ones_route(app,
	           &(struct ones_route){
			   .path = "/metrics", .get = metrics, .needs = ONES_NEEDS_NOTHING, .operators_only = true});
}
