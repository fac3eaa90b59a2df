/* GET /notice.js: the script that shows in an open page that its session has ended. */
#include "setup.h"

static void notice(struct ones_request *req)
{
	ones_reply_file(req, "notice.js", "text/javascript; charset=utf-8");
}

void notice_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/notice.js", .get = notice, .needs = ONES_NEEDS_NOTHING});
}
