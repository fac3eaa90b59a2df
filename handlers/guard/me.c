/* GET /me: the account and the session of the request. For programs. */
#include "guard.h"

static void me(struct ones_request *req)
{
	const struct ones_session *session = ones_session(req);

	identity_headers(req, &identity_fields);
	ones_header(req, "Session-Reason", ones_reason_code(ones_ending(req)->reason));
	if (session == NULL)
		ones_reply_unauthenticated(req);
	else
		ones_reply_json(req, 200, session_answer_json(session));
}

void me_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/me", .get = me, .quick = true});
}
