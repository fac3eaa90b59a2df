/*
 * /refused: where the web server sends a request that the guard has refused, with whatever method it had. It is judged
 * anew, and what fails decides: people are led to where they sign in, or get what they lack, and from there back to
 * where they were; what is no navigation gets a 401 or 403 with the reason.
 */
#include "guard.h"

/*
 * Did the guard let it in? Apache has taken the key out of the request by then, as out of all that it passes on, but
 * sends along what the guard had answered.
 */
static bool was_let_in(const struct ones_request *req)
{
	const char *session_id = ones_param(req, "REDIRECT_SESSION_ID");

	return ones_session(req) == NULL && session_id != NULL && session_id[0] != '\0';
}

/* Is there something that leads people on? */
static void lead_on(struct ones_request *req, const struct requirement *requirement)
{
	const char *way = ones_is_program(req) ? NULL : way_to(req, requirement);

	if (way != NULL && !leads_back(req, way))
		ones_reply_redirect(req, way);
	else
		reply_lacking(req, requirement);
}

static void refused(struct ones_request *req)
{
	const struct requirement requirement = requirement_of_refused(req);
	bool holds = requirement.result == REQUIREMENT_HOLDS || was_let_in(req);

	if (requirement.result == REQUIREMENT_NOT_UNDERSTOOD) {
		reply_not_understood(req);
		return;
	}
	/* Apache still has this field from the guard's answer, and would send both. */
	if (ones_param(req, METHOD_BEFORE_APACHE) == NULL)
		ones_header(req, "Session-Reason", holds ? "" : reason_code(req, &requirement));
	/* Then the application has refused it, and signing in again would lead here again. */
	if (holds)
		ones_reply_problem(req, 403, "forbidden", "You are signed in, but this is not open to you.");
	else if (requirement.result == REQUIREMENT_NO_SESSION)
		reply_not_signed_in(req);
	else
		lead_on(req, &requirement);
}

void refused_setup(struct ones_app *app)
{
	ones_route(
		app,
		&(struct ones_route){
			.path = "/refused", .any = refused, .cross_site = true, .no_body = true, .navigations = true});
}
