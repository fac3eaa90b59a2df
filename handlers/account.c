/* GET /account: who am I, and a way to sign out. */
#include "setup.h"

#include <stdio.h>
#include <time.h>

static void account(struct ones_request *req)
{
	const struct ones_session *session = ones_session(req);
	char since[40] = "";
	struct tm utc;
	time_t seconds;

	if (session == NULL) {
		if (ones_is_program(req))
			ones_reply_unauthenticated(req);
		else
			ones_reply_redirect(req, ones_url(req, "/login"));
		return;
	}
	seconds = (time_t)(session->created_at / 1000000);
	if (gmtime_r(&seconds, &utc) != NULL)
		(void)strftime(since, sizeof since, "%e %B %Y, %H:%M UTC", &utc);
	ones_reply_page(
		req, 200, "account.html",
		(const struct ones_text[]){{"username", session->user.username}, {"since", since}, {NULL, NULL}});
}

void account_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/account", .get = account});
}
