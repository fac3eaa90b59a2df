/* GET /style.css: the one style sheet of the pages. */
#include "assets.h"

static void style(struct ones_request *req)
{
	ones_reply_file(req, "style.css", "text/css; charset=utf-8");
}

void style_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/style.css", .get = style, .needs = ONES_NEEDS_NOTHING});
}
