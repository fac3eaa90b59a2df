/* The answers that handlers give. */
#include "api/app.h"
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

#define TEXTS_MAX 16

void ones_reply_page(struct ones_request *req, int status, const char *page, const struct ones_text *texts)
{
	struct ones_text all[TEXTS_MAX + 2] = {{"prefix", req->app->settings->server.prefix}};
	const char *source = page_find(page);
	size_t count = 1;
	size_t size = 0;
	char *text;

	while (texts->name != NULL && count <= TEXTS_MAX)
		all[count++] = *texts++;
	text = texts->name == NULL && source != NULL ? page_render(req, source, all, &size) : NULL;
	if (text == NULL) {
		req->response.failed = true;
		return;
	}
	ones_header(req, "Content-Security-Policy",
	            "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
	            "frame-ancestors 'none'");
	ones_header(req, "X-Content-Type-Options", "nosniff");
	ones_header(req, "Referrer-Policy", "same-origin");
	reply_body(req, status, "text/html; charset=utf-8", text, size);
}

void ones_reply_file(struct ones_request *req, const char *name, const char *content_type)
{
	const char *text = page_find(name);

	if (text == NULL) {
		req->response.failed = true;
		return;
	}
	ones_header(req, "Cache-Control", "public, max-age=3600");
	ones_header(req, "X-Content-Type-Options", "nosniff");
	reply_body(req, 200, content_type, text, strlen(text));
}

void ones_reply_problem(struct ones_request *req, int status, const char *code, const char *detail)
{
	const struct ones_text texts[] = {
		{"title", response_reason_phrase(status)},
		{"detail", detail},
		{"request_id", status >= 500 ? req->http->id : ""},
		{NULL, NULL},
	};

	if (status == 429 || status == 503)
		ones_header(req, "Retry-After", RETRY_AFTER_S);
	if (!req->http->is_program) {
		ones_reply_page(req, status, "error.html", texts);
		return;
	}
	reply_json_as(req, status, "application/problem+json",
	              json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title",
	                        response_reason_phrase(status), "status", status, "code", code, "detail", detail));
}

void ones_reply_failure(struct ones_request *req, enum ones_result result)
{
	if (result == ONES_UNAVAILABLE)
		ones_reply_problem(req, 503, "unavailable", "The database is away for the moment. Please try again.");
	else
		ones_reply_problem(req, 500, "internal", "Something went wrong here. It has been logged.");
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
		[ONES_REVOKED] = "Your session was ended by an operator.",
		[ONES_PASSWORD_CHANGED] = "You were signed out because your password was changed.",
		[ONES_DISABLED] = "Your account has been disabled.",
	};

	return texts[reason];
}

void ones_reply_unauthenticated(struct ones_request *req)
{
	ones_reply_problem(req, 401, ones_reason_code(req->ending.reason), ones_reason_text(req->ending.reason));
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

const char *ones_sign_in_url(struct ones_request *req, const char *wanted)
{
	const char *page = ones_url(req, "/login");
	size_t prefix_length = strlen(req->app->settings->server.prefix);
	char *escaped, *url;

	if (!next_is_safe(wanted) || (prefix_length > 0 && strncmp(wanted, page, prefix_length + 1) == 0))
		return page;
	escaped = urlencoded_escape(req, wanted);
	url = escaped != NULL ? talloc_asprintf(req, "%s?next=%s", page, escaped) : NULL;
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
