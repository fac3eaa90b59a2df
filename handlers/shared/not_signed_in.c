/* What a request that needs a session gets without one, and where people go before and after signing in. */
#include "shared.h"

#include <string.h>

bool is_lost(const struct ones_request *req)
{
	const char *method = ones_param(req, METHOD_BEFORE_APACHE);

	if (method == NULL)
		method = ones_param(req, "REQUEST_METHOD");
	return method == NULL || (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0);
}

const char *return_address(const struct ones_request *req)
{
	return is_lost(req) ? ones_page_before(req) : ones_param(req, "REQUEST_URI");
}

bool leads_back(const struct ones_request *req, const char *way)
{
	const char *here = ones_param(req, "REQUEST_URI");
	size_t length = here != NULL ? strcspn(here, "?#") : 0;

	return length > 0 && length == strcspn(way, "?#") && strncmp(here, way, length) == 0;
}

bool has_login(const struct ones_app *app)
{
	return ones_option_number(app, "login.enabled") != 0;
}

const char *after_sign_out(struct ones_request *req, const char *page)
{
	if (has_login(ones_app(req)))
		return page;
	return ones_can_sign_in(ones_app(req)) ? ones_sign_in_url(req, NULL, false) : "/";
}

void reply_not_signed_in(struct ones_request *req)
{
	const struct ones_app *app = ones_app(req);
	const char *way = NULL;

	if (!ones_is_program(req) && ones_can_sign_in(app))
		way = ones_sign_in_url(req, return_address(req), is_lost(req));
	if (way == NULL || (!has_login(app) && leads_back(req, way)))
		ones_reply_unauthenticated(req);
	else
		ones_reply_redirect(req, way);
}
