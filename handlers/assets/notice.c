/* GET /notice.js: the script that shows in an open page that its session has ended. GET /notice.json: its words. */
#include "assets.h"

static void notice(struct ones_request *req)
{
	ones_reply_file(req, "notice.js", "text/javascript; charset=utf-8");
}

static void words(struct ones_request *req)
{
	ones_header(req, "Content-Language", ones_language(req));
	ones_header(req, "Cache-Control", "no-store");
	ones_reply_json(req, 200, ones_texts_json(req, "notice"));
}

void notice_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/notice.js", .get = notice, .needs = ONES_NEEDS_NOTHING});
	ones_route(app, &(struct ones_route){.path = "/notice.json", .get = words, .needs = ONES_NEEDS_NOTHING});
}
