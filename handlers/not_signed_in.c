/* What a request that needs a session gets without one, and where its sender comes back to after signing in. */
#include "setup.h"

#include <string.h>
#include <strings.h>

bool is_lost(const struct ones_request *req)
{
	const char *method = ones_param(req, METHOD_BEFORE_APACHE);

	if (method == NULL)
		method = ones_param(req, "REQUEST_METHOD");
	return method == NULL || (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0);
}

/* The address of the page that the request came from; NULL when it is none of this site's. */
static const char *page_before(const struct ones_request *req)
{
	const char *referer = ones_param(req, "HTTP_REFERER");
	const char *host = ones_param(req, "HTTP_HOST");
	const char *authority = referer != NULL ? strstr(referer, "://") : NULL;
	size_t length;

	if (authority == NULL || host == NULL)
		return NULL;
	authority += strlen("://");
	length = strcspn(authority, "/");
	if (length != strlen(host) || strncasecmp(authority, host, length) != 0)
		return NULL;
	return authority + length;
}

const char *return_address(const struct ones_request *req)
{
	return is_lost(req) ? page_before(req) : ones_param(req, "REQUEST_URI");
}

void reply_not_signed_in(struct ones_request *req)
{
	if (ones_is_program(req))
		ones_reply_unauthenticated(req);
	else
		ones_reply_redirect(req, ones_sign_in_url(req, return_address(req), is_lost(req)));
}
