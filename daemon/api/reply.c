/* The answers that handlers give. */
#include "api/app.h"
#include "http/accept.h"
#include "http/next.h"
#include "http/page.h"
#include "http/urlencoded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void ones_header(struct ones_request *req, const char *name, const char *value)
{
	response_header(&req->response, req, name, value);
}

static void reply_body(struct ones_request *req, int status, const char *content_type, const char *body, size_t size)
{
	req->response.status = status;
	req->response.content_type = content_type;
	req->response.body = body;
	req->response.body_size = size;
}

void ones_reply_empty(struct ones_request *req, int status)
{
	reply_body(req, status, NULL, NULL, 0);
}

static void reply_json_as(struct ones_request *req, int status, const char *content_type, json_t *body)
{
	char *dumped = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	const char *text = dumped != NULL ? talloc_strdup(req, dumped) : NULL;

	free(dumped);
	json_decref(body);
	if (text == NULL)
		req->response.failed = true;
	else
		reply_body(req, status, content_type, text, strlen(text));
}

void ones_reply_json(struct ones_request *req, int status, json_t *body)
{
	reply_json_as(req, status, "application/json", body);
}

void ones_reply_redirect(struct ones_request *req, const char *location)
{
	const char *escaped = response_escape_url(req, location);

	if (escaped == NULL) {
		req->response.failed = true;
		return;
	}
	ones_header(req, "Location", escaped);
	ones_reply_empty(req, 303);
}

/* What a page may load. One with a script may run what this site serves, and ask it. */
#define POLICY             "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
#define POLICY_WITH_SCRIPT POLICY "; script-src 'self'; connect-src 'self'"

static json_t *links_json(const struct links *links)
{
	json_t *list = json_array();

	for (size_t i = 0; list != NULL && i < links->count; i++) {
		const struct link *link = &links->all[i];

		if (json_array_append_new(
			    list, json_pack("{s:s, s:s}", "label", link->label, "address", link->address)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* What every page may show; a new reference, NULL when out of memory. */
static json_t *common_values(const struct ones_request *req)
{
	const struct settings *settings = req->app->settings;
	json_t *links = links_json(req->app->links);

	return json_pack("{s:s, s:s, s:s, s:o, s:b, s:b}", "prefix", settings->server.prefix, "site_name",
	                 settings->login.site_name, "name_label", settings->login.name_label, "links", links,
	                 "has_links", json_array_size(links) > 0, "displaces",
	                 settings->session.on_limit == ON_LIMIT_DISPLACE && settings->session.max_sessions > 0);
}

/*
 * Where a page's forms may go. Chromium holds that against every redirect that follows as well, and what people sign in
 * for may lead on to another site, or to a program on their telephone: the forms that sign in may go anywhere.
 */
#define POLICY_OF_FORMS "; form-action 'self'"

static const char *policy_for(const char *page, bool has_script)
{
	bool signs_in = strcmp(page, "login.html") == 0 || strcmp(page, "takeover.html") == 0;

	if (has_script)
		return signs_in ? POLICY_WITH_SCRIPT : POLICY_WITH_SCRIPT POLICY_OF_FORMS;
	return signs_in ? POLICY : POLICY POLICY_OF_FORMS;
}

void ones_reply_page(struct ones_request *req, int status, const char *page, json_t *values)
{
	json_t *common = common_values(req);
	bool has_script = false;
	size_t size = 0;
	char *text = NULL;

	if (json_object_update(values, common) == 0)
		text = pages_render(req, req->app->pages, page, values, &size, &has_script);
	json_decref(common);
	json_decref(values);
	if (text == NULL) {
		req->response.failed = true;
		return;
	}
	ones_header(req, "Content-Security-Policy", policy_for(page, has_script));
	ones_header(req, "Referrer-Policy", "same-origin");
	reply_body(req, status, "text/html; charset=utf-8", text, size);
}

void ones_reply_file(struct ones_request *req, const char *name, const char *content_type)
{
	size_t size = 0;
	const char *text = pages_file(req->app->pages, name, &size);

	if (text == NULL) {
		req->response.failed = true;
		return;
	}
	ones_header(req, "Cache-Control", "public, max-age=3600");
	reply_body(req, 200, content_type, text, size);
}

/* One is to come again after `retry_after_s`; 0: nothing is said of that. */
static void reply_problem(struct ones_request *req, int status, const char *code, const char *detail,
                          int64_t retry_after_s, json_t *members)
{
	char seconds[24];

	if (retry_after_s > 0) {
		(void)snprintf(seconds, sizeof seconds, "%lld", (long long)retry_after_s);
		ones_header(req, "Retry-After", seconds);
	}
	if (req->http->is_program) {
		json_t *problem =
			json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title",
		                  response_reason_phrase(status), "status", status, "code", code, "detail", detail);

		if (members == NULL || json_object_update_missing(problem, members) != 0)
			req->response.failed = true;
		json_decref(members);
		reply_json_as(req, status, "application/problem+json", problem);
		return;
	}
	json_decref(members);
	ones_reply_page(req, status, "error.html",
	                json_pack("{s:s, s:i, s:s, s:s, s:{s:b}, s:s, s:o*}", "title", response_reason_phrase(status),
	                          "status", status, "code", code, "detail", detail, "is", code, 1, "request_id",
	                          status >= 500 ? req->http->id : "", "retry", ones_wait_json(retry_after_s)));
}

void ones_reply_problem(struct ones_request *req, int status, const char *code, const char *detail)
{
	reply_problem(req, status, code, detail, status == 503 ? RETRY_AFTER_S : 0, json_object());
}

void ones_reply_problem_with(struct ones_request *req, int status, const char *code, const char *detail,
                             json_t *members)
{
	reply_problem(req, status, code, detail, status == 503 ? RETRY_AFTER_S : 0, members);
}

static json_t *places_json(const struct ones_places *places)
{
	json_t *list = json_array();

	for (size_t i = 0; places != NULL && i < places->count; i++) {
		if (json_array_append_new(list, ones_place_json(&places->all[i])) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

void ones_reply_failure(struct ones_request *req, enum ones_result result, const struct ones_login *login)
{
	int64_t wait_s = login != NULL ? login->retry_after_s : 0;

	switch (result) {
	case ONES_INVALID:
		ones_reply_problem(req, 401, "invalid_credentials", "The name or the password is not right.");
		break;
	case ONES_CLOSED: ones_reply_problem(req, 403, "account_closed", "This account is closed."); break;
	case ONES_NO_COOKIES:
		ones_reply_problem(req, 400, "bad_request", "The browser has not kept the cookie of the sign-in form.");
		break;
	case ONES_THROTTLED:
		reply_problem(req, 429, "too_many_attempts",
		              "There were too many failed attempts. Please wait before you try again.", wait_s,
		              json_object());
		break;
	case ONES_LIMIT:
		ones_reply_problem_with(req, 409, "session_limit", "This account is signed in elsewhere.",
		                        json_pack("{s:o}", "sessions", places_json(&login->in_the_way)));
		break;
	case ONES_COOLDOWN:
		reply_problem(req, 429, "cooldown",
		              "This account was signed in on too many devices of late. The session elsewhere stays for "
		              "now.",
		              wait_s, json_pack("{s:o}", "sessions", places_json(&login->in_the_way)));
		break;
	case ONES_TICKET_GONE:
		ones_reply_problem(req, 401, "invalid_credentials", "That took too long. Please sign in again.");
		break;
	case ONES_ENDED: ones_reply_unauthenticated(req); break;
	case ONES_BUSY:
		ones_reply_problem(req, 503, "busy",
		                   "Your password cannot be checked at this moment. Please try again.");
		break;
	case ONES_UNACCEPTABLE:
		ones_reply_problem(req, 400, "bad_request",
		                   "The new password must have at least 8 characters and at most 1024 bytes.");
		break;
	case ONES_PENDING: break;
	case ONES_UNAVAILABLE:
		ones_reply_problem(req, 503, "unavailable", "The database is away for the moment. Please try again.");
		break;
	default: ones_reply_problem(req, 500, "internal", "Something went wrong here. It has been logged."); break;
	}
}

const char *ones_reason_text(enum ones_reason reason)
{
	static const char *const texts[] = {
		[ONES_LIVE] = "",
		[ONES_UNAUTHENTICATED] = "You are not signed in.",
		[ONES_DISPLACED] = "You were signed out because your account was signed in elsewhere.",
		[ONES_EXPIRED] = "Your session has expired. Please sign in again.",
		[ONES_IDLE] = "You were signed out because you had not been here for a while.",
		[ONES_LOGGED_OUT] = "You have signed out.",
		[ONES_REVOKED] = "Your session was ended from elsewhere, by you or by an operator.",
		[ONES_PASSWORD_CHANGED] = "You were signed out because your password was changed.",
		[ONES_DISABLED] = "Your account has been disabled.",
	};

	return texts[reason];
}

void ones_reply_unauthenticated(struct ones_request *req)
{
	ones_reply_problem_with(req, 401, ones_reason_code(req->ending.reason), ones_reason_text(req->ending.reason),
	                        json_pack("{s:o, s:o}", "ended_at", ones_time_json(req->ending.ended_at), "by",
	                                  ones_by_json(&req->ending)));
}

const char *ones_url(struct ones_request *req, const char *path)
{
	const char *url = talloc_asprintf(req, "%s%s", req->app->settings->server.prefix, path);

	if (url == NULL)
		req->response.failed = true;
	return url != NULL ? url : "/";
}

/* nginx gives an answer's header 4 KiB, and answers 502 when it is larger. */
#define NEXT_MAX 3000

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
		req->response.failed = true;
	return url != NULL && strlen(escaped) <= NEXT_MAX ? url : page;
}

json_t *ones_time_json(ones_time when)
{
	time_t seconds = (time_t)(when / 1000000);
	char text[32];
	struct tm utc;

	if (when == 0 || when == INT64_MAX || when == INT64_MIN || gmtime_r(&seconds, &utc) == NULL ||
	    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		return json_null();
	return json_string(text);
}

json_t *ones_by_json(const struct ones_ending *ending)
{
	return json_pack("{s:s, s:s}", "browser", ending->by_browser, "os", ending->by_os);
}

json_t *ones_place_json(const struct ones_place *place)
{
	return json_pack("{s:s, s:o, s:o, s:s, s:s}", "id", place->id, "created_at", ones_time_json(place->created_at),
	                 "last_seen_at", ones_time_json(place->last_seen_at), "browser", place->browser, "os",
	                 place->os);
}

json_t *ones_wait_json(int64_t wait_s)
{
	int64_t minutes = (wait_s + 59) / 60;

	return wait_s > 0 ? json_pack("{s:I, s:b}", "minutes", (json_int_t)minutes, "one", minutes == 1) : NULL;
}

/* Nothing but the time for today, no year for this one. */
static size_t write_moment(char *text, size_t size, const struct tm *utc, const struct tm *today)
{
	if (utc->tm_year != today->tm_year)
		return strftime(text, size, "%e %B %Y, %H:%M UTC", utc);
	if (utc->tm_yday != today->tm_yday)
		return strftime(text, size, "%e %B, %H:%M UTC", utc);
	return strftime(text, size, "%H:%M UTC", utc);
}

json_t *ones_moment_json(ones_time when)
{
	time_t seconds = (time_t)(when / 1000000);
	time_t now = time(NULL);
	struct tm utc, today;
	char text[64];

	if (when == 0 || when == INT64_MAX || when == INT64_MIN || gmtime_r(&seconds, &utc) == NULL ||
	    gmtime_r(&now, &today) == NULL || write_moment(text, sizeof text, &utc, &today) == 0)
		return json_null();
	return json_pack("{s:s, s:o, s:b}", "text", text + strspn(text, " "), "iso", ones_time_json(when), "today",
	                 utc.tm_year == today.tm_year && utc.tm_yday == today.tm_yday);
}

json_t *ones_user_json(const struct ones_user *user)
{
	return json_pack("{s:I, s:s, s:b}", "id", (json_int_t)user->id, "username", user->username, "is_admin",
	                 (int)user->is_admin);
}

json_t *ones_session_json(const struct ones_session *session)
{
	return json_pack("{s:s, s:o, s:o, s:o}", "id", session->id, "created_at", ones_time_json(session->created_at),
	                 "last_seen_at", ones_time_json(session->last_seen_at), "expires_at",
	                 ones_time_json(session->expires_at));
}
