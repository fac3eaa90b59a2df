/*
 * /refused: where the web server sends a request that the guard has refused, with whatever method it had. People are
 * led to the sign-in page and from there back to the address that they asked for; programs get a 401 with the reason.
 */
#include "setup.h"

#include <string.h>

/* Apache's ErrorDocument makes every request a GET, and keeps the method that was. */
#define METHOD_BEFORE_APACHE "REDIRECT_REQUEST_METHOD"

const char *refused_address(const struct ones_request *req)
{
	const char *method = ones_param(req, METHOD_BEFORE_APACHE);

	if (method == NULL)
		method = ones_param(req, "REQUEST_METHOD");
	if (method == NULL || (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0))
		return NULL;
	return ones_param(req, "REQUEST_URI");
}

static void refused(struct ones_request *req)
{
	/* Apache still has this field from the guard's answer, and would send both. */
	if (ones_param(req, METHOD_BEFORE_APACHE) == NULL)
		ones_header(req, "Session-Reason", ones_reason_code(ones_ending(req)->reason));
	if (ones_is_program(req) && ones_session(req) == NULL)
		ones_reply_unauthenticated(req);
	else
		ones_reply_redirect(req, ones_sign_in_url(req, refused_address(req)));
}

void refused_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/refused", .any = refused, .no_body = true});
}
