/* Answers that say what went wrong, for people and for programs (RFC 9457). */
#include "api/keys.h"
#include "api/language.h"
#include "api/module.h"
#include "api/page_reply.h"
#include "api/reply.h"
#include "base/units.h"

#include <string.h>

/* Seconds after which clients are asked to try again that were answered with 503. */
#define RETRY_AFTER_S 2

static const char *error_page_for(const struct ones_request *req)
{
	const char *own = exchange_module(req)->error_page;

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

/* What is said to a person, in the language of the page. */
static const char *in_language_of(struct ones_request *req, const char *page, const char *sentence)
{
	const struct pages *pages = exchange_module(req)->pages;

	return language_sentence(req, language_of(req, pages_having(pages, page)), sentence);
}

/* How large a body that was too large may be, for people: "2 MiB"; NULL for any other. */
static json_t *limit_json(const struct ones_request *req)
{
	char text[32];
	size_t digits;

	if (!fcgi_body_is_too_large(req->http->fcgi))
		return NULL;
	(void)units_format_size((int64_t)fcgi_body_limit(req->http->fcgi), text, sizeof text);
	digits = strspn(text, "0123456789");
	return json_sprintf("%.*s %s", (int)digits, text, text + digits);
}

/* What the page of errors is filled in with. */
static json_t *values_of_problem(struct ones_request *req, int status, const char *code, const char *detail,
                                 int64_t retry_after_s)
{
	json_t *values = json_pack("{s:s, s:i, s:s, s:s, s:{s:b}, s:s, s:o*, s:o*}", "title",
	                           response_reason_phrase(status), "status", status, "code", code, "detail", detail,
	                           "is", code, 1, "request_id", status >= 500 ? req->http->id : "", "retry",
	                           ones_wait_json(retry_after_s), "limit", limit_json(req));

	/* Who is not signed in any more gets on from here. */
	if (status == 401 && ones_session(req) == NULL && ones_can_sign_in(req->app))
		(void)json_object_set_new(values, "sign_in_here",
		                          json_string(ones_sign_in_url(req, page_address(req, values), false)));
	return values;
}

/* `retry_after_s` as in ones_retry_after(); takes over the reference. */
static void reply_problem(struct ones_request *req, int status, const char *code, const char *detail,
                          int64_t retry_after_s, json_t *members)
{
	const char *page = error_page_for(req);

	if (code == NULL || detail == NULL) {
		exchange_fail(req, "a problem whose code or sentence is NULL");
	} else if (reply_may_begin(req, status)) {
		ones_retry_after(req, retry_after_s);
		if (req->http->is_program || page == NULL)
			reply_problem_as_json(req, status, code, detail, members);
		else
			page_reply(
				req, status, page,
				values_of_problem(req, status, code, in_language_of(req, page, detail), retry_after_s));
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

/* The answers to results that say all by themselves. */
static const struct http_problem failures[] = {
	[ONES_RESULT_INVALID] = {401, "invalid_credentials", "The name or the password is not right."},
	[ONES_RESULT_CLOSED] = {403, "account_closed", "This account is closed."},
	[ONES_RESULT_NO_COOKIES] = {400, "bad_request", "The browser has not kept the cookie of the sign-in form."},
	[ONES_RESULT_TICKET_GONE] = {401, "invalid_credentials", "That took too long. Please sign in again."},
	[ONES_RESULT_BUSY] = {503, "busy", "Your password cannot be checked at this moment. Please try again."},
	[ONES_RESULT_UNAVAILABLE] = {503, "unavailable", "The database is away for the moment. Please try again."},
	[ONES_RESULT_FAILED] = {500, "internal", "Something went wrong here. It has been logged."},
	[ONES_RESULT_DUPLICATE] = {409, "duplicate", "There is one already."},
	[ONES_RESULT_VIOLATION] = {409, "violation", "What was sent does not fit to what there is."},
	[ONES_RESULT_CONFLICT] = {503, "unavailable", "Others were changing the same. Please try again."},
	[ONES_RESULT_UNUSABLE_NAME] = {400, "bad_request", "A file cannot have that name."},
	[ONES_RESULT_NO_SPACE] = {507, "insufficient_storage", "There is no room left for this upload."},
};

/* What a receiver has given to ones_refuse(). */
static void reply_refusal(struct ones_request *req)
{
	const struct ones_refusal *refusal = ones_refusal(req);

	if (refusal == NULL)
		exchange_fail(req, "ONES_RESULT_REFUSED for which there is no ones_refusal()");
	else
		ones_reply_problem_with(req, 403, "refused", refusal->sentence,
		                        json_pack("{s:s}", "reason", refusal->code));
}

static void reply_unacceptable(struct ones_request *req)
{
	const char *problem = ones_password_problem(req);

	ones_reply_problem(req, 400, "bad_request", problem != NULL ? problem : "That name or address cannot be used.");
}

void ones_reply_failure(struct ones_request *req, enum ones_result result, const struct ones_login *login)
{
	const struct ones_places *conflicting = login != NULL ? &login->conflicting : NULL;
	int64_t wait_s = login != NULL ? login->retry_after_s : 0;
	const struct http_problem *failure = &failures[ONES_RESULT_FAILED];

	switch (result) {
	case ONES_RESULT_THROTTLED:
		reply_problem(req, 429, "too_many_attempts",
		              "There were too many failed attempts. Please wait before you try again.", wait_s,
		              json_object());
		return;
	case ONES_RESULT_LIMIT:
		ones_reply_problem_with(req, 409, "session_limit", "This account is signed in elsewhere.",
		                        json_pack("{s:o, s:s*}", "sessions", places_json(conflicting), "ticket",
		                                  login != NULL ? login->ticket : NULL));
		return;
	case ONES_RESULT_COOLDOWN:
		reply_problem(req, 429, "cooldown",
		              "This account was signed in on too many devices of late. The session elsewhere stays for "
		              "now.",
		              wait_s, json_pack("{s:o}", "sessions", places_json(conflicting)));
		return;
	case ONES_RESULT_ENDED: ones_reply_unauthenticated(req); return;
	case ONES_RESULT_REFUSED: reply_refusal(req); return;
	case ONES_RESULT_PENDING: return;
	case ONES_RESULT_UNACCEPTABLE: reply_unacceptable(req); return;
	default: break;
	}
	if ((size_t)result < sizeof failures / sizeof failures[0] && failures[result].status != 0)
		failure = &failures[result];
	ones_reply_problem(req, failure->status, failure->code, failure->detail);
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

/* Where there is something to challenge for (RFC 6750, 3): a scheme for which browsers ask nobody for a password. */
static void challenge(struct ones_request *req)
{
	if (keys_may_be_in_authorization(req->app))
		ones_header(req, "WWW-Authenticate",
		            req->is_in_authorization ? "Bearer realm=\"onesession\", error=\"invalid_token\""
		                                     : "Bearer realm=\"onesession\"");
}

void ones_reply_unauthenticated(struct ones_request *req)
{
	challenge(req);
	ones_reply_problem_with(req, 401, ones_reason_code(req->ending.reason), ones_reason_text(req->ending.reason),
	                        json_pack("{s:o, s:o}", "ended_at", ones_time_json(req->ending.ended_at), "by",
	                                  ones_by_json(&req->ending)));
}
