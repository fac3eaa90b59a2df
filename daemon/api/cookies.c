/* Cookies of the handlers' own: reading and setting them (RFC 6265bis). */
#include "api/key_cookie.h"
#include "api/reply.h"
#include "base/http_token.h"
#include "base/own_cookies.h"
#include "base/utf8.h"
#include "http/cookie.h"

#include <string.h>
#include <strings.h>

/* Browsers keep no more of name and value, nor of an attribute, and none for longer than 400 days. */
#define PAIR_MAX      4096
#define ATTRIBUTE_MAX 1024
#define AGE_MAX_S     34560000
/* As many different ones as an answer can set; there is room for the daemon's own besides. */
#define COOKIES_MAX 16

static bool is_own_name(const struct ones_request *req, const char *name)
{
	return own_cookies_have(req->app->settings->session.cookie_name, name);
}

const char *ones_cookie(const struct ones_request *req, const char *name)
{
	const char *header = fcgi_param(req->http->fcgi, "HTTP_COOKIE");
	struct cookie_search search = {.at = header, .left = header != NULL ? strlen(header) : 0};
	char value[PAIR_MAX + 1];

	if (name == NULL || is_own_name(req, name) || !cookie_find(&search, name, NULL, value, sizeof value) ||
	    !utf8_is_valid(value))
		return NULL;
	return talloc_strdup(req, value);
}

/* ---- Setting one -------------------------------------------------------------------------------------------- */

static bool is_value(const char *value)
{
	while (*value > ' ' && *value < 0x7f && strchr("\",;\\", *value) == NULL)
		value++;
	return *value == '\0';
}

static bool is_path(const char *path)
{
	size_t length = strlen(path);

	if (path[0] != '/' || length > ATTRIBUTE_MAX)
		return false;
	while (*path > ' ' && *path < 0x7f && *path != ';')
		path++;
	return *path == '\0';
}

static const char *problem_of(const struct ones_request *req, const struct ones_cookie *cookie, const char *path,
                              bool is_secure)
{
	size_t of_answer = 0;

	for (size_t i = 0; i < req->response.cookie_count; i++)
		of_answer += req->response.cookies[i].is_of_answer;
	if (!is_http_token(cookie->name))
		return "a cookie whose name is none";
	if (is_own_name(req, cookie->name))
		return "a cookie with the name of one of the daemon's own";
	if (cookie->value == NULL || !is_value(cookie->value))
		return "a cookie whose value is none";
	if (strlen(cookie->name) + strlen(cookie->value) > PAIR_MAX)
		return "a cookie of more than 4096 bytes";
	if (!is_path(path))
		return "a cookie whose path is none";
	if ((strncasecmp(cookie->name, "__Host-", 7) == 0 && (!is_secure || strcmp(path, "/") != 0)) ||
	    (strncasecmp(cookie->name, "__Secure-", 9) == 0 && !is_secure))
		return "a cookie that does not keep the rules of its prefix: by HTTPS, __Host- with the path /";
	return of_answer == COOKIES_MAX ? "more than 16 cookies" : NULL;
}

void ones_set_cookie(struct ones_request *req, const struct ones_cookie *cookie)
{
	static const char *const same_site[] = {
		[ONES_SAME_SITE_LAX] = "Lax",
		[ONES_SAME_SITE_STRICT] = "Strict",
		[ONES_SAME_SITE_NONE] = "None",
	};
	const char *path = cookie->path != NULL ? cookie->path : "/";
	/* Browsers take SameSite=None with Secure only. */
	bool is_secure = key_cookie_is_secure(req) || cookie->same_site == ONES_SAME_SITE_NONE;
	int64_t age = cookie->max_age_s < AGE_MAX_S ? cookie->max_age_s : AGE_MAX_S;
	const char *problem = problem_of(req, cookie, path, is_secure);
	char *field;

	if (!reply_is_open(req, "it sets a cookie after the answer: it is not sent"))
		return;
	if (problem != NULL || cookie->same_site > ONES_SAME_SITE_NONE) {
		exchange_fail(req, problem != NULL ? problem : "a cookie whose .same_site is none");
		return;
	}
	field = talloc_asprintf(req, "%s=%s; Path=%s", cookie->name, cookie->value, path);
	if (age != 0)
		field = talloc_asprintf_append(field, "; Max-Age=%lld", (long long)(age > 0 ? age : 0));
	field = talloc_asprintf_append(field, "%s; SameSite=%s%s", cookie->for_scripts ? "" : "; HttpOnly",
	                               same_site[cookie->same_site], is_secure ? "; Secure" : "");
	if (field == NULL)
		exchange_fail(req, "out of memory for a cookie");
	else
		response_set_cookie(&req->response, req, cookie->name, field, true);
}
