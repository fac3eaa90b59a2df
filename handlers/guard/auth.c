/* GET /auth: the guard, for nginx auth_request and for web servers that ask in the role of an authorizer. */
#include "guard.h"

#include <stdio.h>
#include <string.h>

/*
 * A name that another program has written to the database may hold what no header field can, or begin or end with a
 * space, which a reader of the field takes off (RFC 9110, 5.5). It is left out: an application that goes by names then
 * finds no account, and not another one.
 */
static const char *name_for_header(const char *name)
{
	if (name[0] == ' ' || (name[0] != '\0' && name[strlen(name) - 1] == ' '))
		return "";
	return ones_header_can_hold(name) ? name : "";
}

void identity_headers(struct ones_request *req, const char *user_name, const char *id_name, const char *session_name)
{
	const struct ones_session *session = ones_session(req);
	char id[24] = "";

	if (session != NULL)
		(void)snprintf(id, sizeof id, "%lld", (long long)session->user.id);
	ones_header(req, user_name, session != NULL ? name_for_header(session->user.username) : "");
	ones_header(req, id_name, id);
	ones_header(req, session_name, session != NULL ? session->id : "");
}

/*
 * lighttpd hands an authorizer's refusal to the client as it is (FastCGI 1.0, 6.3), so it has to serve people, with the
 * sign-in page, and programs. Apache, which alone says in which of its phases it asks, would put a body in the
 * place of its ErrorDocument; that leads to /refused.
 */
static void refuse_request(struct ones_request *req)
{
	if (!ones_is_authorizer(req) || ones_param(req, "FCGI_APACHE_ROLE") != NULL)
		ones_reply_empty(req, 401);
	else if (ones_is_program(req))
		ones_reply_unauthenticated(req);
	else
		sign_in_page_anew(req, 401, return_address(req), is_lost(req));
}

static void auth(struct ones_request *req)
{
	bool is_live = ones_session(req) != NULL;

	if (ones_is_authorizer(req) && is_live)
		identity_headers(req, "Variable-REMOTE_USER", "Variable-REMOTE_USER_ID", "Variable-SESSION_ID");
	else
		identity_headers(req, "Remote-User", "Remote-User-Id", "Session-Id");
	if (!ones_is_authorizer(req) || !is_live)
		ones_header(req, "Session-Reason", ones_reason_code(ones_ending(req)->reason));
	if (is_live)
		ones_reply_empty(req, 200);
	else
		refuse_request(req);
}

void auth_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/auth",
	                                     .get = auth,
	                                     .no_body = true,
	                                     .navigations = true,
	                                     .quick = true,
	                                     .purpose = ONES_PURPOSE_GUARD});
}
