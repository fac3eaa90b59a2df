/* The answers that handlers give. */
#include "api/reply.h"

#include "http/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Seconds after which clients are asked to try again that were answered with 503. */
#define RETRY_AFTER_S 2

void ones_header(struct ones_request *req, const char *name, const char *value)
{
	response_header(&req->response, req, name, value);
}

bool ones_header_can_hold(const char *value)
{
	return response_field_can_hold(value);
}

void ones_retry_after(struct ones_request *req, int64_t wait_s)
{
	char seconds[24];

	if (wait_s <= 0)
		return;
	(void)snprintf(seconds, sizeof seconds, "%lld", (long long)wait_s);
	ones_header(req, "Retry-After", seconds);
}

void reply_body(struct ones_request *req, int status, const char *content_type, const char *body, size_t size)
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

/* Where a page's forms may go: see ones_allow_form_redirects(). */
#define POLICY_OF_FORMS "; form-action 'self'"

void ones_allow_form_redirects(struct ones_request *req)
{
	req->response.allows_form_redirects = true;
}

static const char *policy_for(const struct ones_request *req, bool has_script)
{
	bool is_free = req->response.allows_form_redirects;

	if (has_script)
		return is_free ? POLICY_WITH_SCRIPT : POLICY_WITH_SCRIPT POLICY_OF_FORMS;
	return is_free ? POLICY : POLICY POLICY_OF_FORMS;
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
	ones_header(req, "Content-Security-Policy", policy_for(req, has_script));
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

/* `retry_after_s` as in ones_retry_after(). */
static void reply_problem(struct ones_request *req, int status, const char *code, const char *detail,
                          int64_t retry_after_s, json_t *members)
{
	ones_retry_after(req, retry_after_s);
	if (req->http->is_program || req->app->error_page == NULL) {
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
	ones_reply_page(req, status, req->app->error_page,
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
	case ONES_RESULT_INVALID:
		ones_reply_problem(req, 401, "invalid_credentials", "The name or the password is not right.");
		break;
	case ONES_RESULT_CLOSED: ones_reply_problem(req, 403, "account_closed", "This account is closed."); break;
	case ONES_RESULT_NO_COOKIES:
		ones_reply_problem(req, 400, "bad_request", "The browser has not kept the cookie of the sign-in form.");
		break;
	case ONES_RESULT_THROTTLED:
		reply_problem(req, 429, "too_many_attempts",
		              "There were too many failed attempts. Please wait before you try again.", wait_s,
		              json_object());
		break;
	case ONES_RESULT_LIMIT:
		ones_reply_problem_with(req, 409, "session_limit", "This account is signed in elsewhere.",
		                        json_pack("{s:o}", "sessions", places_json(&login->conflicting)));
		break;
	case ONES_RESULT_COOLDOWN:
		reply_problem(req, 429, "cooldown",
		              "This account was signed in on too many devices of late. The session elsewhere stays for "
		              "now.",
		              wait_s, json_pack("{s:o}", "sessions", places_json(&login->conflicting)));
		break;
	case ONES_RESULT_TICKET_GONE:
		ones_reply_problem(req, 401, "invalid_credentials", "That took too long. Please sign in again.");
		break;
	case ONES_RESULT_ENDED: ones_reply_unauthenticated(req); break;
	case ONES_RESULT_BUSY:
		ones_reply_problem(req, 503, "busy",
		                   "Your password cannot be checked at this moment. Please try again.");
		break;
	case ONES_RESULT_UNACCEPTABLE:
		ones_reply_problem(req, 400, "bad_request",
		                   "The new password must have at least 8 characters and at most 1024 bytes.");
		break;
	case ONES_RESULT_PENDING: break;
	case ONES_RESULT_DUPLICATE: ones_reply_problem(req, 409, "duplicate", "There is one already."); break;
	case ONES_RESULT_VIOLATION:
		ones_reply_problem(req, 409, "violation", "What was sent does not fit to what there is.");
		break;
	case ONES_RESULT_CONFLICT:
		ones_reply_problem(req, 503, "unavailable", "Others were changing the same. Please try again.");
		break;
	case ONES_RESULT_UNAVAILABLE:
		ones_reply_problem(req, 503, "unavailable", "The database is away for the moment. Please try again.");
		break;
	default: ones_reply_problem(req, 500, "internal", "Something went wrong here. It has been logged."); break;
	}
}

const char *ones_reason_text(enum ones_reason reason)
{
	static const char *const texts[] = {
		[ONES_REASON_LIVE] = "",
		[ONES_REASON_UNAUTHENTICATED] = "You are not signed in.",
		[ONES_REASON_DISPLACED] = "You were signed out because your account was signed in elsewhere.",
		[ONES_REASON_EXPIRED] = "Your session has expired. Please sign in again.",
		[ONES_REASON_IDLE] = "You were signed out because you had not been here for a while.",
		[ONES_REASON_LOGGED_OUT] = "You have signed out.",
		[ONES_REASON_REVOKED] = "Your session was ended from elsewhere, by you or by an operator.",
		[ONES_REASON_PASSWORD_CHANGED] = "You were signed out because your password was changed.",
		[ONES_REASON_DISABLED] = "Your account has been disabled.",
	};

	return texts[reason];
}

void ones_reply_unauthenticated(struct ones_request *req)
{
	ones_reply_problem_with(req, 401, ones_reason_code(req->ending.reason), ones_reason_text(req->ending.reason),
	                        json_pack("{s:o, s:o}", "ended_at", ones_time_json(req->ending.ended_at), "by",
	                                  ones_by_json(&req->ending)));
}
