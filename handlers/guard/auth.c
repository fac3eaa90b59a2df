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

/* What its account may have of a plan that has ended is for the site to look up, not for an application to go by. */
static const char *plan_in_force(const struct ones_request *req, const struct ones_session *session)
{
	bool has_ended = session->valid_until != 0 && session->valid_until <= ones_found_at(req);

	return session->plan != NULL && !has_ended ? session->plan : "";
}

void identity_headers(struct ones_request *req, const struct identity_names *names)
{
	const struct ones_session *session = ones_session(req);
	char id[24] = "";

	if (session != NULL)
		(void)snprintf(id, sizeof id, "%lld", (long long)session->user.id);
	ones_header(req, names->user, session != NULL ? name_for_header(session->user.username) : "");
	ones_header(req, names->user_id, id);
	ones_header(req, names->session_id, session != NULL ? session->id : "");
	ones_header(req, names->email,
	            session != NULL && session->email != NULL ? name_for_header(session->email) : "");
	ones_header(req, names->groups, session != NULL ? session->groups : "");
	ones_header(req, names->plan, session != NULL ? plan_in_force(req, session) : "");
}

const struct identity_names identity_fields = {
	.user = "Remote-User",
	.user_id = "Remote-User-Id",
	.session_id = "Session-Id",
	.email = "Remote-Email",
	.groups = "Remote-Groups",
	.plan = "Remote-Plan",
};

static const struct identity_names identity_variables = {
	.user = "Variable-REMOTE_USER",
	.user_id = "Variable-REMOTE_USER_ID",
	.session_id = "Variable-SESSION_ID",
	.email = "Variable-REMOTE_EMAIL",
	.groups = "Variable-REMOTE_GROUPS",
	.plan = "Variable-REMOTE_PLAN",
};

/*
 * lighttpd hands an authorizer's refusal to the client as it is (FastCGI 1.0, 6.3), so it has to serve people, with the
 * sign-in page, a redirect to the site's own, or what else leads on, and programs. Apache, which alone says in which of
 * its phases it asks, would put a body in the place of its ErrorDocument; that leads to /refused.
 */
static void refuse_request(struct ones_request *req, const struct requirement *requirement)
{
	if (!ones_is_authorizer(req) || ones_param(req, "FCGI_APACHE_ROLE") != NULL)
		ones_reply_empty(req, requirement_status(requirement->result));
	else if (requirement->result != REQUIREMENT_NO_SESSION)
		reply_lacking(req, requirement);
	else if (!ones_is_program(req) && has_login(ones_app(req)))
		sign_in_page_anew(req, 401, return_address(req), is_lost(req));
	else
		reply_not_signed_in(req);
}

/* Why nobody is let in, or is nobody; and whether what is in Authorization is to be kept from the application. */
static void for_web_server(struct ones_request *req, const struct requirement *requirement, bool is_variable)
{
	ones_header(req, is_variable ? "Variable-SESSION_REASON" : "Session-Reason", reason_code(req, requirement));
	ones_header(req, is_variable ? "Variable-SESSION_CREDENTIAL" : "Session-Credential",
	            ones_key_is_bearer(req) ? "bearer" : "");
}

static void auth(struct ones_request *req)
{
	const struct requirement requirement = requirement_at_guard(req);
	bool is_let_in = requirement.result == REQUIREMENT_HOLDS;

	if (requirement.result == REQUIREMENT_NOT_UNDERSTOOD) {
		reply_not_understood(req);
		return;
	}
	identity_headers(req, ones_is_authorizer(req) && is_let_in ? &identity_variables : &identity_fields);
	for_web_server(req, &requirement, ones_is_authorizer(req) && is_let_in);
	if (is_let_in)
		ones_reply_empty(req, 200);
	else
		refuse_request(req, &requirement);
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
