/* GET /api/openapi.json: the description of the API. It is no secret, so it takes no token. */
#include "programs.h"

static void openapi(struct ones_request *req)
{
	ones_reply_file(req, "openapi.json", "application/json");
}

void api_openapi_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){
				.path = "/api/openapi.json", .get = openapi, .needs = ONES_NEEDS_NOTHING, .scope = ""});
}
