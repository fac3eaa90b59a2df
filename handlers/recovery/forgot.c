/*
 * /forgot: asking for a mail that lets in who has forgotten the password. Whoever asks learns nothing: whatever was
 * typed, the same is answered, and the same is written; whose it is, if anybody's, is found out when the mail is sent.
 */
#include "recovery.h"

#include <string.h>

/* A longer address than this is left out of the mail, and who follows its link comes to the account page. */
#define NEXT_MAX 1024

static void show(struct ones_request *req, int status, const char *login, const char *next, json_t *more)
{
	json_t *page = json_pack("{s:s, s:s}", "login", login, "next", next != NULL ? next : "");

	ones_reply_page(req, status, "forgot.html", with_more(page, more));
}

static void forgot_page(struct ones_request *req)
{
	show(req, 200, "", ones_query(req, "next"), json_object());
}

static void show_throttled(struct ones_request *req, const char *login, int64_t wait_s)
{
	ones_retry_after(req, wait_s);
	show(req, 429, login, ones_field(req, "next"), json_pack("{s:o}", "throttled", ones_wait_json(wait_s)));
}

/* For who follows the link: where this person wanted to go. */
static json_t *values_of_mail(struct ones_request *req)
{
	const char *next = ones_field(req, "next");

	if (next == NULL || next[0] == '\0')
		return json_object();
	next = ones_next(req, next);
	return strlen(next) <= NEXT_MAX ? json_pack("{s:s}", "next", next) : json_object();
}

static enum ones_result write_mail(struct ones_request *req, const char *login, int64_t lifetime_ms)
{
	const struct ones_mail mail = {
		.kind = RESET,
		.login = login,
		.values = values_of_mail(req),
		.language = ones_language(req),
		.purpose = RESET,
		.lifetime_ms = lifetime_ms,
		.path = "/reset",
	};

	return ones_mail(ones_db(req), &mail);
}

static void forgot(struct ones_request *req)
{
	int64_t lifetime_ms = ones_option_number(ones_app(req), "accounts.reset_lifetime");
	const char *login = filled_field(req, "login");
	enum ones_result result;
	int64_t wait_s;

	if (login == NULL && ones_is_program(req)) {
		ones_reply_problem(req, 400, "bad_request",
		                   "The login is needed: the name of the account, or its address.");
		return;
	}
	if (login == NULL) {
		show(req, 400, "", ones_field(req, "next"), json_pack("{s:b}", "missing", 1));
		return;
	}
	result = ones_throttle(req, "forgot", &wait_s);
	if (result == ONES_RESULT_OK)
		result = write_mail(req, login, lifetime_ms);
	if (result == ONES_RESULT_THROTTLED && ones_is_program(req))
		reply_throttled(req, wait_s);
	else if (result == ONES_RESULT_THROTTLED)
		show_throttled(req, login, wait_s);
	else if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (ones_is_program(req))
		ones_reply_empty(req, 202);
	else
		reset_show(req, 202, ones_field(req, "next"),
		           json_pack("{s:s, s:o}", "login", login, "asked", ones_wait_json(lifetime_ms / 1000)));
}

void forgot_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/forgot", .get = forgot_page, .post = forgot});
}
