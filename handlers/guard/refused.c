/*
 * /refused: where the web server sends a request that the guard has refused, with whatever method it had. People are
 * led to the sign-in page and from there back to where they were; what is no navigation gets a 401 with the reason.
 */
#include "guard.h"

/*
 * Did the guard let it in? Apache has taken the key out of the request by then, as out of all that it passes on, but
 * sends along what the guard had answered.
 */
static bool was_let_in(const struct ones_request *req)
{
	const char *session_id = ones_param(req, "REDIRECT_SESSION_ID");

	return ones_session(req) != NULL || (session_id != NULL && session_id[0] != '\0');
}

static void refused(struct ones_request *req)
{
	/* Apache still has this field from the guard's answer, and would send both. */
	if (ones_param(req, METHOD_BEFORE_APACHE) == NULL)
		ones_header(req, "Session-Reason", ones_reason_code(ones_ending(req)->reason));
	/* Then the application has refused it, and signing in again would lead here again. */
	if (was_let_in(req))
		ones_reply_problem(req, 403, "forbidden", "You are signed in, but this is not open to you.");
	else
		reply_not_signed_in(req);
}

void refused_setup(struct ones_app *app)
{
	ones_route(
		app,
		&(struct ones_route){
			.path = "/refused", .any = refused, .cross_site = true, .no_body = true, .navigations = true});
}
