/* Answers of routes that mails lead to. */
#include "shared.h"

void reply_page_of_link(struct ones_request *req, int status, const char *page, const char *path, json_t *values)
{
	/* What a form has sent is not shown again by its address. */
	const char *here = ones_method(req) == ONES_METHOD_POST ? ones_module_url(req, path) : NULL;

	/*
	 * The address may have a token in it, which no page that is opened from here is to learn. With no-referrer
	 * browsers would hide where the form comes from as well (Fetch, "append a request Origin header").
	 */
	ones_header(req, "Referrer-Policy", "strict-origin");
	ones_header(req, "Cache-Control", "no-store");
	ones_reply_page(req, status, page, with_more(values, json_pack("{s:s*}", "here", here)));
}

void reply_invalid_code(struct ones_request *req)
{
	ones_reply_problem(req, 401, "invalid_code",
	                   "That link or code is wrong, was used, or has run out. Please ask for a new mail.");
}

void reply_throttled(struct ones_request *req, int64_t wait_s)
{
	ones_retry_after(req, wait_s);
	ones_reply_problem(req, 429, "too_many_attempts",
	                   "There were too many requests from your address. Please wait before you ask again.");
}
