/* GET /auth: may this request pass? For nginx auth_request, and for web servers that ask in the role of an authorizer.
 */
#include "setup.h"

#include <stdio.h>

/* Header fields for one who is signed in; in front of a name stands "Variable-" when an authorizer answers. */
static void identify(struct ones_request *req, const char *user_name, const char *id_name, const char *session_name)
{
	const struct ones_session *session = ones_session(req);
	char id[24] = "";

	if (session != NULL)
		(void)snprintf(id, sizeof id, "%lld", (long long)session->user.id);
	ones_header(req, user_name, session != NULL ? session->user.username : "");
	ones_header(req, id_name, id);
	ones_header(req, session_name, session != NULL ? session->id : "");
}

static void auth(struct ones_request *req)
{
	bool is_live = ones_session(req) != NULL;

	if (ones_is_authorizer(req) && is_live)
		identify(req, "Variable-REMOTE_USER", "Variable-REMOTE_USER_ID", "Variable-SESSION_ID");
	else
		identify(req, "Remote-User", "Remote-User-Id", "Session-Id");
	if (!ones_is_authorizer(req) || !is_live)
		ones_header(req, "Session-Reason", ones_reason_code(ones_ending(req)->reason));
	ones_reply_empty(req, is_live ? 200 : 401);
}

void auth_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/auth", .get = auth, .no_body = true});
}
