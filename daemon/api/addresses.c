/* Addresses of this site: the daemon's own routes, and where to go after signing in. */
#include "api/exchange.h"
#include "http/accept.h"
#include "http/next.h"
#include "http/urlencoded.h"

#include <string.h>

/* nginx gives an answer's header 4 KiB, and answers 502 when it is larger. */
#define NEXT_MAX 3000

const char *ones_url(struct ones_request *req, const char *path)
{
	const char *url = talloc_asprintf(req, "%s%s", req->app->settings->server.prefix, path);

	if (url == NULL)
		exchange_fail(req, "out of memory for an address");
	return url != NULL ? url : "/";
}

const char *ones_next(struct ones_request *req, const char *wanted)
{
	const char *fallback = req->app->settings->login.default_next;
	const char *escaped = next_is_safe(wanted) ? response_escape_url(req, wanted) : NULL;

	if (escaped != NULL && strlen(escaped) <= NEXT_MAX)
		return wanted;
	return fallback[0] != '\0' ? fallback : ones_url(req, "/account");
}

const char *ones_page_before(const struct ones_request *req)
{
	const char *referer = ones_param(req, "HTTP_REFERER");
	const char *host = ones_param(req, "HTTP_HOST");

	return referer != NULL && host != NULL ? own_site_path(referer, host) : NULL;
}

const char *ones_sign_in_url(struct ones_request *req, const char *wanted, bool lost)
{
	const char *page = ones_url(req, lost ? "/login?lost=true" : "/login");
	size_t prefix_length = strlen(req->app->settings->server.prefix);
	char *escaped, *url;

	if (!next_is_safe(wanted) || (prefix_length > 0 && strncmp(wanted, page, prefix_length + 1) == 0))
		return page;
	escaped = urlencoded_escape(req, wanted);
	url = escaped != NULL ? talloc_asprintf(req, "%s%cnext=%s", page, lost ? '&' : '?', escaped) : NULL;
	if (url == NULL)
		exchange_fail(req, "out of memory for an address");
	return url != NULL && strlen(escaped) <= NEXT_MAX ? url : page;
}
