/* GET /state: is this session still live, with its account, or why not? For pollers: it counts as no activity. */
#include "guard.h"

static void state(struct ones_request *req)
{
	const struct ones_session *session = ones_session(req);
	const struct ones_ending *ending = ones_ending(req);

	if (session != NULL)
		ones_reply_json(req, 200,
		                json_pack("{s:b, s:{s:I, s:s}}", "live", 1, "user", "id", (json_int_t)session->user.id,
		                          "username", session->user.username));
	else
		ones_reply_json(req, 200,
		                json_pack("{s:b, s:s, s:o, s:o}", "live", 0, "reason", ones_reason_code(ending->reason),
		                          "ended_at", ones_time_json(ending->ended_at), "by", ones_by_json(ending)));
}

void state_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/state", .get = state, .passive = true, .quick = true});
}
