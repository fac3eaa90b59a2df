/* Addresses of this site: the daemon's own routes, and where to go after signing in. */
#include "api/exchange.h"
#include "http/accept.h"
#include "http/next.h"
#include "http/urlencoded.h"

#include <string.h>

/* nginx gives an answer's header 4 KiB, and answers 502 when it is larger. */
#define NEXT_MAX 3000

static const char *address(struct ones_request *req, const char *prefix, const char *path)
{
	const char *url = path != NULL ? talloc_asprintf(req, "%s%s", prefix, path) : NULL;

	if (url == NULL)
		exchange_fail(req, path != NULL ? "out of memory for an address" : "an address whose path is NULL");
	return url != NULL ? url : "/";
}

const char *ones_url(struct ones_request *req, const char *path)
{
	return address(req, req->app->settings->server.prefix, path);
}

const char *ones_module_url(struct ones_request *req, const char *path)
{
	return address(req, exchange_module(req)->prefix, path);
}

/* The daemon's own modules have one for each. */
static const char *address_for(struct ones_request *req, enum ones_purpose purpose)
{
	const struct route *route = routes_for(req->app, purpose);

	return route != NULL ? address(req, route->module->prefix, route->declared.path) : "/";
}

const char *ones_next(struct ones_request *req, const char *wanted)
{
	const char *fallback = req->app->settings->login.default_next;
	const char *escaped = next_is_safe(wanted) ? response_escape_url(req, wanted) : NULL;

	if (escaped != NULL && strlen(escaped) <= NEXT_MAX)
		return wanted;
	return fallback[0] != '\0' ? fallback : address_for(req, ONES_PURPOSE_HOME);
}

const char *ones_page_before(const struct ones_request *req)
{
	const char *referer = ones_param(req, "HTTP_REFERER");
	const char *host = ones_param(req, "HTTP_HOST");

	return referer != NULL && host != NULL ? own_site_path(referer, host) : NULL;
}

static bool is_address_of(const char *wanted, const char *page)
{
	size_t path = strcspn(wanted, "?#");

	return path == strcspn(page, "?") && strncmp(wanted, page, path) == 0;
}

static bool is_own_address(const struct ones_request *req, const char *wanted)
{
	const char *prefix = req->app->settings->server.prefix;
	size_t length = strlen(prefix);

	return length > 0 && strncmp(wanted, prefix, length) == 0 && wanted[length] == '/';
}

/* `page` with the query that has it lead to `wanted`; to come back to the page itself would be no way on. */
static const char *leading_to(struct ones_request *req, const char *page, const char *wanted, bool lost)
{
	const char *plain = lost ? address(req, page, strchr(page, '?') != NULL ? "&lost=true" : "?lost=true") : page;
	char *escaped, *url;

	if (wanted == NULL || !next_is_safe(wanted) || is_address_of(wanted, page))
		return plain;
	escaped = urlencoded_escape(req, wanted);
	url = escaped != NULL
	              ? talloc_asprintf(req, "%s%cnext=%s", plain, strchr(plain, '?') != NULL ? '&' : '?', escaped)
	              : NULL;
	if (url == NULL)
		exchange_fail(req, "out of memory for an address");
	return url != NULL && strlen(escaped) <= NEXT_MAX ? url : plain;
}

/* From an address of the daemon's own there would be no way on. */
const char *ones_sign_in_url(struct ones_request *req, const char *wanted, bool lost)
{
	const char *on = wanted != NULL && is_own_address(req, wanted) ? NULL : wanted;

	return leading_to(req, address_for(req, ONES_PURPOSE_SIGN_IN), on, lost);
}

const char *ones_confirm_url(struct ones_request *req, const char *wanted, bool lost)
{
	const char *own = req->app->settings->access.confirm_url;

	return leading_to(req, own[0] != '\0' ? own : address_for(req, ONES_PURPOSE_CONFIRM), wanted, lost);
}

const char *ones_url_with_next(struct ones_request *req, const char *page, const char *wanted)
{
	return page != NULL ? leading_to(req, page, wanted, false) : address(req, "", NULL);
}
