/* POST /logout: sign out. The same answer with and without a live session. */
#include "signin.h"

static void logout(struct ones_request *req)
{
	const char *next = ones_field(req, "next");
	enum ones_result result = ones_logout(req);

	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (ones_is_program(req))
		ones_reply_empty(req, 204);
	else
		ones_reply_redirect(req, next != NULL ? ones_next(req, next)
		                                      : after_sign_out(req, ones_module_url(req, "/login?signed_out")));
}

void logout_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/logout", .post = logout});
}
