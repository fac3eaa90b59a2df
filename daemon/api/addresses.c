/* Addresses of this site: the daemon's own routes, and where to go after signing in. */
#include "api/addresses.h"

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

/* Has the site a sign-in page of its own, in place of the daemon's? */
static bool has_own_login_page(const struct ones_app *app)
{
	return !app->settings->login.enabled && app->settings->access.login_url[0] != '\0';
}

bool ones_can_sign_in(const struct ones_app *app)
{
	return has_own_login_page(app) || routes_for(app, ONES_PURPOSE_SIGN_IN) != NULL;
}

bool ones_can_confirm(const struct ones_app *app)
{
	return app->settings->access.confirm_url[0] != '\0' || routes_for(app, ONES_PURPOSE_CONFIRM) != NULL;
}

const char *sign_in_page_of(struct ones_request *req)
{
	if (has_own_login_page(req->app))
		return req->app->settings->access.login_url;
	return address_for(req, ones_can_sign_in(req->app) ? ONES_PURPOSE_SIGN_IN : ONES_PURPOSE_HOME);
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

/* `page` with one more field in its query. */
static const char *with_field(struct ones_request *req, const char *page, const char *name, const char *value)
{
	const char *url = talloc_asprintf(req, "%s%c%s=%s", page, strchr(page, '?') != NULL ? '&' : '?', name, value);

	if (url == NULL)
		exchange_fail(req, "out of memory for an address");
	return url != NULL ? url : page;
}

/* `page` with the query that has it lead to `wanted`; to come back to the page itself would be no way on. */
static const char *leading_to(struct ones_request *req, const char *page, const char *wanted, bool lost)
{
	const char *plain = lost ? with_field(req, page, "lost", "true") : page;
	const char *escaped;

	if (wanted == NULL || !next_is_safe(wanted) || is_address_of(wanted, page))
		return plain;
	escaped = urlencoded_escape(req, wanted);
	if (escaped == NULL)
		exchange_fail(req, "out of memory for an address");
	return escaped != NULL && strlen(escaped) <= NEXT_MAX ? with_field(req, plain, "next", escaped) : plain;
}

/* A page of the site's own cannot know by itself why somebody is sent there. */
static const char *with_reason(struct ones_request *req, const char *url)
{
	const char *code = ones_reason_code(ones_ending(req)->reason);

	return has_own_login_page(req->app) && code[0] != '\0' ? with_field(req, url, "reason", code) : url;
}

/* From an address of the daemon's own there would be no way on. */
const char *ones_sign_in_url(struct ones_request *req, const char *wanted, bool lost)
{
	const char *on = wanted != NULL && is_own_address(req, wanted) ? NULL : wanted;

	return with_reason(req, leading_to(req, sign_in_page_of(req), on, lost));
}

const char *ones_confirm_url(struct ones_request *req, const char *wanted, bool lost)
{
	const char *own = req->app->settings->access.confirm_url;

	if (own[0] == '\0')
		own = address_for(req, ones_can_confirm(req->app) ? ONES_PURPOSE_CONFIRM : ONES_PURPOSE_HOME);
	return leading_to(req, own, wanted, lost);
}

const char *ones_url_with_next(struct ones_request *req, const char *page, const char *wanted)
{
	return page != NULL ? leading_to(req, page, wanted, false) : address(req, "", NULL);
}
