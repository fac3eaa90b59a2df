/*
 * GET /sleeper?ms=MS: a handler that takes as long, as slow things do that an application may be written to do. POST
 * likewise, with a body; /sleeper/quick and /sleeper/alone say that they wait for nothing, which is not true.
 */
#include "application.h"

#include <poll.h>
#include <stdlib.h>

static void sleep_long(struct ones_request *req)
{
	const char *text = ones_query(req, "ms");
	const int ms = text != NULL ? atoi(text) : 0;

	(void)poll(NULL, 0, ms);
	ones_reply_json(req, 200, json_pack("{s:i, s:s?}", "slept_ms", ms, "field", ones_field(req, "field")));
}

void sleeper_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/sleeper", .get = sleep_long, .post = sleep_long});
	ones_route(app, &(struct ones_route){.path = "/sleeper/quick", .get = sleep_long, .quick = true});
	ones_route(app, &(struct ones_route){.path = "/sleeper/alone", .get = sleep_long, .needs = ONES_NEEDS_NOTHING});
}
