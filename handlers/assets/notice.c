/*
 * GET /notice.js: the script that shows in an open page that its session has ended. GET /notice.json: its words, and
 * the address of the sign-in page.
 */
#include "assets.h"

static void notice(struct ones_request *req)
{
	ones_reply_file(req, "notice.js", "text/javascript; charset=utf-8");
}

static void words(struct ones_request *req)
{
	json_t *said = ones_texts_json(req, "notice");

	if (said != NULL && ones_can_sign_in(ones_app(req)) &&
	    json_object_set_new(said, "address", json_string(ones_sign_in_url(req, NULL, false))) != 0) {
		json_decref(said);
		said = NULL;
	}
	ones_header(req, "Content-Language", ones_language(req));
	ones_header(req, "Cache-Control", "no-store");
	ones_reply_json(req, 200, said);
}

void notice_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/notice.js", .get = notice, .needs = ONES_NEEDS_NOTHING});
	ones_route(app, &(struct ones_route){.path = "/notice.json", .get = words, .needs = ONES_NEEDS_NOTHING});
}
