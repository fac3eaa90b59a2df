/*
 * /delete: my account, with all that is kept about me, is deleted; but only after accounts.deletion_pause, for who asks
 * may be somebody else, or think better of it. Until then it can be signed in to, and who does comes here first, to be
 * asked whether to keep it.
 */
#include "privacy.h"

/* Links of mails live no shorter than this. */
#define LINK_LIFETIME_MIN_MS INT64_C(1000)

/* One request to delete the account of the session, and what became of it. */
struct deletion {
	struct ones_request *req;
	int64_t pause_ms;
	ones_time delete_at;
};

/* The account of the session; *account is NULL when it was deleted at this moment. */
static enum ones_result find_account(struct ones_request *req, const struct ones_account **account)
{
	return ones_account_by_id(ones_db(req), ones_session(req)->user.id, account);
}

/* The session has ended since this request began. */
static void reply_ended(struct ones_request *req)
{
	if (ones_is_program(req))
		ones_reply_problem(req, 401, ones_reason_code(ONES_REASON_UNAUTHENTICATED),
		                   ones_reason_text(ONES_REASON_UNAUTHENTICATED));
	else
		reply_not_signed_in(req);
}

static void reply_failed(struct ones_request *req, enum ones_result result)
{
	if (result == ONES_RESULT_ENDED || result == ONES_RESULT_VIOLATION)
		reply_ended(req);
	else
		ones_reply_failure(req, result, NULL);
}

/* ---- The page --------------------------------------------------------------------------------------------------- */

/* Takes over the reference. */
static void show(struct ones_request *req, int status, json_t *values)
{
	/* The answer to a form is not shown again by its address. */
	json_t *here = json_pack("{s:s}", "here", ones_module_url(req, "/delete"));

	ones_allow_form_redirects(req);
	ones_reply_page(req, status, "delete.html", with_more(values, here));
}

/* In whole days or hours, or else minutes, as the lifetime of a mail's link is shown. */
static json_t *pause_json(int64_t pause_ms)
{
	int64_t hours = pause_ms / (60 * 60 * 1000);

	if (pause_ms == 0)
		return json_null();
	if (hours * 60 * 60 * 1000 != pause_ms)
		return ones_wait_json(pause_ms / 1000);
	if (hours % 24 == 0)
		return json_pack("{s:I, s:b}", "days", (json_int_t)(hours / 24), "one", (int)(hours == 24));
	return json_pack("{s:I, s:b}", "hours", (json_int_t)hours, "one", (int)(hours == 1));
}

static void show_form(struct ones_request *req, int status, const struct ones_account *account, bool is_unticked)
{
	int64_t pause_ms = ones_option_number(ones_app(req), "accounts.deletion_pause");

	show(req, status,
	     json_pack("{s:b, s:s, s:b, s:b, s:o}", "asks", 1, "username", account->user.username, "is_told",
	               (int)(pause_ms > 0 && ones_can_mail(ones_app(req)) && account->email_verified_at != 0),
	               "unticked", (int)is_unticked, "pause", pause_json(pause_ms)));
}

/* The question to who has signed in. */
static void show_choice(struct ones_request *req, const struct ones_account *account)
{
	const char *next = ones_query(req, "next");

	show(req, 200,
	     json_pack("{s:s, s:o, s:s}", "username", account->user.username, "choice",
	               ones_moment_json(account->delete_at), "next", next != NULL ? next : ""));
}

static void delete_page(struct ones_request *req)
{
	const struct ones_account *account;
	enum ones_result result;

	if (ones_session(req) == NULL) {
		reply_not_signed_in(req);
		return;
	}
	result = find_account(req, &account);
	if (result != ONES_RESULT_OK || account == NULL)
		reply_failed(req, result == ONES_RESULT_OK ? ONES_RESULT_ENDED : result);
	else if (ones_is_program(req))
		ones_reply_json(req, 200, json_pack("{s:o}", "delete_at", ones_time_json(account->delete_at)));
	else if (account->delete_at != 0)
		show_choice(req, account);
	else if (!ones_is_fresh(req))
		ones_reply_stale(req, ones_module_url(req, "/delete"));
	else
		show_form(req, 200, account, false);
}

/* ---- Deleting --------------------------------------------------------------------------------------------------- */

/* With the link by which whoever owns the address undoes it, and locks whoever has asked out. */
static enum ones_result write_mail(struct ones_db *db, const struct deletion *deletion)
{
	const struct ones_mail mail = {
		.kind = "deletion",
		.user_id = ones_session(deletion->req)->user.id,
		.values = json_pack("{s:o}", "when", ones_moment_json(deletion->delete_at)),
		.language = ones_language(deletion->req),
		.purpose = UNDO,
		.lifetime_ms = deletion->pause_ms > LINK_LIFETIME_MIN_MS ? deletion->pause_ms : LINK_LIFETIME_MIN_MS,
		.path = "/undo",
		.is_notice = true,
	};

	return ones_mail(db, &mail);
}

/* The account's row first, which holds it: what signs in to it from then on learns of it. */
static enum ones_result delete_account(struct ones_db *db, void *context)
{
	struct deletion *deletion = context;
	const struct ones_session *session = ones_session(deletion->req);
	enum ones_result result =
		ones_account_delete_in(db, session->user.id, deletion->pause_ms, &deletion->delete_at);

	if (result == ONES_RESULT_OK)
		result = recheck_session(db, session);
	if (result == ONES_RESULT_OK && deletion->pause_ms == 0)
		return ones_account_delete(db, session->user.id);
	if (result == ONES_RESULT_OK)
		result = ones_account_end_sessions(db, session->user.id, ONES_REASON_LOGGED_OUT, NULL);
	/* Another address would get the mail by which it is kept. */
	if (result == ONES_RESULT_OK)
		result = ones_drop_mail_tokens(db, session->user.id, PURPOSE_EMAIL);
	return result == ONES_RESULT_OK ? write_mail(db, deletion) : result;
}

static void reply_deleted(struct ones_request *req, const struct deletion *deletion)
{
	/* There is no session any more: its cookie goes. That one is there does no harm. */
	(void)ones_logout(req);
	if (ones_is_program(req))
		ones_reply_json(req, 202, json_pack("{s:o}", "delete_at", ones_time_json(deletion->delete_at)));
	else
		show(req, 202,
		     json_pack("{s:b, s:o*}", "asked", 1, "until",
		               deletion->pause_ms > 0 ? ones_moment_json(deletion->delete_at) : NULL));
}

static void show_unticked(struct ones_request *req)
{
	const struct ones_account *account;
	enum ones_result result = find_account(req, &account);

	if (result == ONES_RESULT_OK && account != NULL)
		show_form(req, 400, account, true);
	else
		reply_failed(req, result == ONES_RESULT_OK ? ONES_RESULT_ENDED : result);
}

static void delete_asked(struct ones_request *req)
{
	struct deletion deletion = {
		.req = req,
		.pause_ms = ones_option_number(ones_app(req), "accounts.deletion_pause"),
	};
	enum ones_result result;

	if (!ones_is_fresh(req)) {
		ones_reply_stale(req, ones_module_url(req, "/delete"));
		return;
	}
	/* A click is too little for that. */
	if (lacks_tick(req)) {
		show_unticked(req);
		return;
	}
	result = ones_transact(ones_db(req), delete_account, &deletion);
	if (result == ONES_RESULT_OK)
		reply_deleted(req, &deletion);
	else
		reply_failed(req, result);
}

/* ---- Keeping ---------------------------------------------------------------------------------------------------- */

static enum ones_result keep_account(struct ones_db *db, void *context)
{
	return ones_account_keep(db, ones_session(context)->user.id);
}

/* Whoever is in may have it kept: that takes nothing from anybody. */
static void keep(struct ones_request *req)
{
	const struct ones_account *account;
	enum ones_result result = find_account(req, &account);

	if (result == ONES_RESULT_OK && account == NULL)
		result = ONES_RESULT_ENDED;
	if (result == ONES_RESULT_OK && account->delete_at != 0)
		result = ones_transact(ones_db(req), keep_account, req);
	if (result != ONES_RESULT_OK)
		reply_failed(req, result);
	else if (ones_is_program(req))
		ones_reply_empty(req, 204);
	else
		ones_reply_redirect(req, ones_next(req, filled_field(req, "next")));
}

static void post_delete(struct ones_request *req)
{
	if (ones_session(req) == NULL)
		reply_not_signed_in(req);
	else if (ones_field_is_true(req, "keep"))
		keep(req);
	else
		delete_asked(req);
}

void delete_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/delete", .get = delete_page, .post = post_delete});
}
