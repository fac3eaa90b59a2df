/* The answers that handlers give. */
#include "api/reply.h"

#include "api/routes.h"
#include "http/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Seconds after which clients are asked to try again that were answered with 503. */
#define RETRY_AFTER_S 2

/* ---- The beginning of an answer, header fields -------------------------------------------------------------- */

bool reply_is_open(const struct ones_request *req, const char *what)
{
	if (req->response.status == 0)
		return true;
	exchange_warn(req, what);
	return false;
}

static bool may_reply(struct ones_request *req, int status)
{
	if (!reply_is_open(req, "it answers again: only the first answer is sent"))
		return false;
	if (status >= 200 && status <= 599)
		return true;
	exchange_fail(req, "a status that is not one from 200 to 599");
	return false;
}

/* What is for the daemon and the web server to say, and what ones_set_cookie() is for. */
static bool is_reserved(const char *name)
{
	static const char *const names[] = {"Status", "Content-Length", "Transfer-Encoding", "Connection",
	                                    "Set-Cookie"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcasecmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

void ones_header(struct ones_request *req, const char *name, const char *value)
{
	if (!reply_is_open(req, "it sets a header field after the answer: it is not sent"))
		return;
	if (!response_is_token(name) || is_reserved(name))
		exchange_fail(req, "a header field whose name is none, or is not the handler's");
	else if (value == NULL || !response_field_can_hold(value))
		exchange_fail(req, "a header field whose value is NULL or has a control character");
	else
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
	if (may_reply(req, status))
		reply_body(req, status, NULL, NULL, 0);
}

void ones_reply_body(struct ones_request *req, int status, const char *content_type, const void *data, size_t size)
{
	const char *type, *body;

	if (!may_reply(req, status))
		return;
	if (content_type == NULL || content_type[0] == '\0' || !response_field_can_hold(content_type)) {
		exchange_fail(req, "a body whose type is NULL, empty, or has a control character");
		return;
	}
	type = talloc_strdup(req, content_type);
	body = size > 0 ? talloc_memdup(req, data, size) : "";
	if (type == NULL || body == NULL)
		exchange_fail(req, "out of memory for the body");
	else
		reply_body(req, status, type, body, size);
}

static void reply_json_as(struct ones_request *req, int status, const char *content_type, json_t *body)
{
	char *dumped = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	const char *text = dumped != NULL ? talloc_strdup(req, dumped) : NULL;

	free(dumped);
	json_decref(body);
	if (text == NULL)
		exchange_fail(req, "JSON that is NULL: json_pack(3) has failed, or memory has run out");
	else
		reply_body(req, status, content_type, text, strlen(text));
}

void ones_reply_json(struct ones_request *req, int status, json_t *body)
{
	if (may_reply(req, status))
		reply_json_as(req, status, "application/json", body);
	else
		json_decref(body);
}

void ones_reply_redirect(struct ones_request *req, const char *location)
{
	const char *escaped;

	if (!may_reply(req, 303))
		return;
	escaped = location != NULL ? response_escape_url(req, location) : NULL;
	if (escaped == NULL) {
		exchange_fail(req, "a redirect to NULL, or memory has run out");
		return;
	}
	ones_header(req, "Location", escaped);
	ones_reply_empty(req, 303);
}

/* What a page may load. One with a script may run what this site serves, and ask it. */
#define POLICY             "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
#define POLICY_WITH_SCRIPT POLICY "; script-src 'self'; connect-src 'self'"

/* Whose pages are shown: those of the route's module, and where there is no route the daemon's own. */
static const struct module *module_of(const struct ones_request *req)
{
	return req->route != NULL ? req->route->module : req->app->modules[0];
}

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
	const struct module *module = module_of(req);
	json_t *links = links_json(req->app->links);

	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:b}", "prefix", settings->server.prefix, "module_prefix",
	                 module->prefix, "site_name", settings->login.site_name, "name_label",
	                 settings->login.name_label, "links", links, "has_links", json_array_size(links) > 0,
	                 "displaces",
	                 settings->session.on_limit == ON_LIMIT_DISPLACE && settings->session.max_sessions > 0);
}

/* There is no such page, its values are NULL, or it would be too large. */
static void fail_page(struct ones_request *req, const char *page)
{
	size_t size;
	const char *what = pages_file(module_of(req)->pages, page, &size) == NULL
	                           ? "there is no page of that name"
	                           : "values that are NULL, a page that would be too large, or memory has run out";
	const char *problem = talloc_asprintf(req, "%s: %s", page, what);

	exchange_fail(req, problem != NULL ? problem : what);
}

/* Where a page's forms may go: see ones_allow_form_redirects(). */
#define POLICY_OF_FORMS "; form-action 'self'"

void ones_allow_form_redirects(struct ones_request *req)
{
	req->response.allows_form_redirects = true;
}

void ones_allow(struct ones_request *req, const char *directive)
{
	struct http_response *response = &req->response;

	if (!reply_is_open(req, "it widens the policy after the answer: that has no effect"))
		return;
	if (response->allowed_count == RESPONSE_ALLOWED_MAX || !policy_can_allow(directive))
		exchange_warn(req, "ones_allow() with what is no directive with sources, or too often: not allowed");
	else if ((response->allowed[response->allowed_count] = talloc_strdup(req, directive)) != NULL)
		response->allowed_count++;
}

/* NULL when out of memory. */
static const char *policy_for(struct ones_request *req, bool has_script)
{
	bool is_free = req->response.allows_form_redirects;
	const char *policy = has_script ? POLICY_WITH_SCRIPT : POLICY;

	if (!is_free)
		policy = has_script ? POLICY_WITH_SCRIPT POLICY_OF_FORMS : POLICY POLICY_OF_FORMS;
	for (size_t i = 0; policy != NULL && i < req->response.allowed_count; i++) {
		const char *allowed = req->response.allowed[i];

		/* Without the directive forms may lead anywhere. */
		if (!is_free || strncmp(allowed, "form-action ", strlen("form-action ")) != 0)
			policy = policy_allow(req, policy, allowed);
	}
	return policy;
}

static void reply_page(struct ones_request *req, int status, const char *page, json_t *values)
{
	json_t *common = common_values(req);
	bool has_script = false;
	size_t size = 0;
	char *text = NULL;
	const char *policy;

	if (json_object_update(values, common) == 0)
		text = pages_render(req, module_of(req)->pages, page, values, &size, &has_script);
	json_decref(common);
	json_decref(values);
	policy = text != NULL ? policy_for(req, has_script) : NULL;
	if (policy == NULL) {
		fail_page(req, page);
		return;
	}
	response_header(&req->response, req, "Content-Security-Policy", policy);
	response_header(&req->response, req, "Referrer-Policy", "same-origin");
	reply_body(req, status, "text/html; charset=utf-8", text, size);
}

void ones_reply_page(struct ones_request *req, int status, const char *page, json_t *values)
{
	if (may_reply(req, status))
		reply_page(req, status, page, values);
	else
		json_decref(values);
}

void ones_reply_file(struct ones_request *req, const char *name, const char *content_type)
{
	size_t size = 0;
	const char *text = pages_file(module_of(req)->pages, name, &size);

	if (!may_reply(req, 200))
		return;
	if (text == NULL) {
		fail_page(req, name);
		return;
	}
	if (!response_has_header(&req->response, "Cache-Control"))
		response_header(&req->response, req, "Cache-Control", "public, max-age=3600");
	reply_body(req, 200, content_type, text, size);
}

static const char *error_page_for(const struct ones_request *req)
{
	const char *own = module_of(req)->error_page;

	return own != NULL ? own : req->app->modules[0]->error_page;
}

static void reply_problem_as_json(struct ones_request *req, int status, const char *code, const char *detail,
                                  json_t *members)
{
	json_t *problem = json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title",
	                            response_reason_phrase(status), "status", status, "code", code, "detail", detail);

	if (members == NULL || json_object_update_missing(problem, members) != 0) {
		json_decref(problem);
		problem = NULL;
	}
	reply_json_as(req, status, "application/problem+json", problem);
}

/* `retry_after_s` as in ones_retry_after(); takes over the reference. */
static void reply_problem(struct ones_request *req, int status, const char *code, const char *detail,
                          int64_t retry_after_s, json_t *members)
{
	const char *page = error_page_for(req);

	if (may_reply(req, status)) {
		ones_retry_after(req, retry_after_s);
		if (req->http->is_program || page == NULL)
			reply_problem_as_json(req, status, code, detail, members);
		else
			reply_page(req, status, page,
			           json_pack("{s:s, s:i, s:s, s:s, s:{s:b}, s:s, s:o*}", "title",
			                     response_reason_phrase(status), "status", status, "code", code, "detail",
			                     detail, "is", code, 1, "request_id", status >= 500 ? req->http->id : "",
			                     "retry", ones_wait_json(retry_after_s)));
	}
	json_decref(members);
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
		                        json_pack("{s:o, s:s*}", "sessions", places_json(&login->conflicting), "ticket",
		                                  login->ticket));
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
