/* /login: the sign-in page, and signing in by form or JSON. */
#include "signin.h"

/*
 * Does the page follow a sign-out? Not when the session has ended in another way and the address is that of a former
 * sign-out.
 */
static bool has_signed_out(struct ones_request *req)
{
	enum ones_reason reason = ones_ending(req)->reason;

	return ones_query(req, "signed_out") != NULL &&
	       (reason == ONES_REASON_UNAUTHENTICATED || reason == ONES_REASON_LOGGED_OUT);
}

static void login_page(struct ones_request *req)
{
	const char *next = ones_query(req, "next");
	bool lost = ones_query(req, "lost") != NULL;

	if (ones_session(req) == NULL && has_signed_out(req))
		sign_in_page(req, 200, "", next, json_pack("{s:b}", "signed_out", 1));
	else if (ones_session(req) == NULL)
		sign_in_page_anew(req, 200, next, lost);
	else if (lost)
		ones_reply_page(req, 200, "lost.html", json_pack("{s:s}", "next", ones_next(req, next)));
	else
		ones_reply_redirect(req, ones_next(req, next));
}

/*
 * To the wanted page; when the form of a refused request was lost, by way of the page that says so. Whether to keep an
 * account that is to be deleted is asked before all else.
 */
static void lead_on(struct ones_request *req, ones_time delete_at)
{
	const char *next = ones_field(req, "next");

	if (delete_at != 0)
		ones_reply_redirect(req, after_sign_in(req, delete_at, next));
	else if (ones_query(req, "change_password") != NULL)
		ones_reply_redirect(req, ones_url(req, "/account#password"));
	else if (ones_field_is_true(req, "lost"))
		ones_reply_redirect(req, ones_sign_in_url(req, next, true));
	else
		ones_reply_redirect(req, ones_next(req, next));
}

static void reply_signed_in(struct ones_request *req, const struct ones_login *login)
{
	if (ones_is_program(req))
		ones_reply_json(req, 200, login_json(login));
	else
		lead_on(req, login->delete_at);
}

/* The question whether to end the sessions elsewhere. */
static void show_takeover(struct ones_request *req, const char *username, const char *next,
                          const struct ones_login *login)
{
	ones_allow_form_redirects(req);
	ones_reply_page(req, 409, "takeover.html",
	                json_pack("{s:s, s:s, s:b, s:s, s:o}", "username", username, "next", next != NULL ? next : "",
	                          "lost", (int)ones_field_is_true(req, "lost"), "ticket", login->ticket, "places",
	                          places_for_page(&login->conflicting)));
}

/* The page again, with what was wrong; the status is the one that programs get. */
static void show_login_refused(struct ones_request *req, enum ones_result result, const struct ones_login *login)
{
	const char *username = ones_field(req, "username");
	const char *next = ones_field(req, "next");

	if (username == NULL)
		username = "";
	switch (result) {
	case ONES_RESULT_INVALID: sign_in_page(req, 401, username, next, json_pack("{s:b}", "invalid", 1)); break;
	case ONES_RESULT_CLOSED: sign_in_page(req, 403, username, next, json_pack("{s:b}", "closed", 1)); break;
	case ONES_RESULT_NO_COOKIES:
		/* Allowed now, they need only the same once more. */
		ones_offer_cookie(req);
		sign_in_page(req, 400, username, next, json_pack("{s:b}", "no_cookies", 1));
		break;
	case ONES_RESULT_TICKET_GONE:
		sign_in_page(req, 401, username, next, json_pack("{s:b}", "ticket_gone", 1));
		break;
	case ONES_RESULT_THROTTLED:
		sign_in_page(req, 429, username, next,
		             json_pack("{s:o}", "throttled", ones_wait_json(login->retry_after_s)));
		break;
	case ONES_RESULT_COOLDOWN:
		sign_in_page(req, 429, username, next,
		             json_pack("{s:o, s:o}", "cooldown", ones_wait_json(login->retry_after_s), "places",
		                       places_for_page(&login->conflicting)));
		break;
	case ONES_RESULT_REFUSED:
		sign_in_page(
			req, 403, username, next,
			json_pack("{s:{s:s}}", "refusal", "sentence", ones_sentence(req, ones_refusal(req)->sentence)));
		break;
	default:
		if (login->ticket == NULL)
			sign_in_page(req, 409, username, next,
			             json_pack("{s:{s:o}}", "refused", "places", places_for_page(&login->conflicting)));
		else
			show_takeover(req, username, next, login);
		break;
	}
}

static void reply_refused(struct ones_request *req, enum ones_result result, const struct ones_login *login)
{
	bool is_about_the_login = result == ONES_RESULT_INVALID || result == ONES_RESULT_CLOSED ||
	                          result == ONES_RESULT_NO_COOKIES || result == ONES_RESULT_TICKET_GONE ||
	                          result == ONES_RESULT_THROTTLED || result == ONES_RESULT_COOLDOWN ||
	                          result == ONES_RESULT_LIMIT || result == ONES_RESULT_REFUSED;

	if (ones_is_program(req) || !is_about_the_login) {
		ones_reply_failure(req, result, login);
		return;
	}
	ones_retry_after(req, login->retry_after_s);
	show_login_refused(req, result, login);
}

/*
 * The takeover page stays on the screen until the next one arrives: a second click on its button finds the ticket used
 * and the browser signed in, to the account that is returned.
 */
static const struct ones_account *signed_in_already(struct ones_request *req)
{
	const struct ones_session *session = ones_session(req);
	const char *typed = ones_field(req, "username");
	const struct ones_account *account = NULL;

	if (session == NULL || typed == NULL ||
	    ones_account_by_login(ones_db(req), typed, &account) != ONES_RESULT_OK || account == NULL)
		return NULL;
	return account->user.id == session->user.id ? account : NULL;
}

static void login(struct ones_request *req)
{
	const struct ones_credentials credentials = {
		.username = ones_field(req, "username"),
		.password = ones_field(req, "password"),
		.ticket = ones_field(req, "ticket"),
		.form = ones_field(req, "form"),
		.checks_cookies = ones_field(req, "cookies") != NULL && !ones_is_program(req),
		.take_over = ones_field_is_true(req, "take_over"),
		.wants_token = ones_is_program(req) && ones_field_is_true(req, "token"),
	};
	const struct ones_account *account;
	struct ones_login made;
	enum ones_result result;

	if (credentials.ticket == NULL && (credentials.username == NULL || credentials.password == NULL)) {
		ones_reply_problem(req, 400, "bad_request", "Both username and password are needed.");
		return;
	}
	if (credentials.wants_token && ones_option_number(ones_app(req), "session.bearer") == 0) {
		ones_reply_problem(
			req, 400, "bad_request",
			"token is for sites that take it from Authorization (session.bearer), which this one "
			"does not.");
		return;
	}
	result = ones_login(req, &credentials, &made);
	if (result == ONES_RESULT_OK)
		reply_signed_in(req, &made);
	else if (result == ONES_RESULT_TICKET_GONE && !ones_is_program(req) &&
	         (account = signed_in_already(req)) != NULL)
		lead_on(req, account->delete_at);
	else
		reply_refused(req, result, &made);
}

void login_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/login",
	                                     .get = login_page,
	                                     .post = login,
	                                     .hashes = true,
	                                     .purpose = ONES_PURPOSE_SIGN_IN});
}
