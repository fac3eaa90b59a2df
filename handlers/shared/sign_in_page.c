/* The sign-in page, which the guard shows, too, where a web server hands its refusal to the client. */
#include "shared.h"

#include <string.h>

/* A form that was sent and is shown again is still the same one. */
static const char *form_of(struct ones_request *req)
{
	const char *sent = ones_field(req, "form");

	if (ones_field(req, "password") == NULL)
		return ones_form_token(req);
	return sent != NULL ? sent : "";
}

const char *next_query(struct ones_request *req, const char *next)
{
	const char *address = ones_sign_in_url(req, next, false);

	return address != NULL ? strchr(address, '?') : NULL;
}

void sign_in_page(struct ones_request *req, int status, const char *username, const char *next, json_t *more)
{
	bool lost = ones_field_is_true(req, "lost");
	json_t *page = json_pack("{s:s, s:s, s:s, s:b, s:s, s:s*}", "username", username, "next",
	                         next != NULL ? next : "", "form", form_of(req), "lost", (int)lost, "here",
	                         ones_sign_in_url(req, next, lost), "query", next_query(req, next));

	ones_allow_form_redirects(req);
	ones_reply_page(req, status, "login.html", with_more(page, more));
}

void sign_in_page_anew(struct ones_request *req, int status, const char *next, bool lost)
{
	const struct ones_ending *ending = ones_ending(req);

	ones_offer_cookie(req);
	/* After signing out the reason is no news. */
	sign_in_page(req, status, "", next,
	             json_pack("{s:b, s:o*}", "lost", (int)lost, "ended",
	                       ending->reason != ONES_REASON_LOGGED_OUT ? ending_for_page(ending) : NULL));
}
