/* GET /account: the account, its session and how earlier ones ended; forms to change the password and to sign out. */
#include "account.h"

/* As many of the earlier sessions as are shown. */
#define PAST_MAX 10

/* Of one that its person has signed out of, nothing but that; of one whose browser has signed in anew, by what. */
static bool is_replaced(const struct ones_ending *ending)
{
	return ending->reason == ONES_REASON_LOGGED_OUT && (ending->by_browser[0] != '\0' || ending->by_ip[0] != '\0');
}

static json_t *past_for_page(struct ones_request *req, enum ones_result *result)
{
	const struct ones_past *past = NULL;
	json_t *list = json_array();
	size_t count;

	*result = ones_past_sessions(req, PAST_MAX, &past, &count);
	for (size_t i = 0; *result == ONES_RESULT_OK && i < count; i++) {
		const struct ones_place *place = &past[i].place;

		if (json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:b, s:o}", "browser", place->browser,
		                                          "os", place->os, "ip", place->ip, "since",
		                                          ones_moment_json(place->created_at), "replaced",
		                                          (int)is_replaced(&past[i].ending), "ended",
		                                          ending_for_page(&past[i].ending))) != 0)
			*result = ONES_RESULT_FAILED;
	}
	if (*result == ONES_RESULT_OK)
		return list;
	json_decref(list);
	return NULL;
}

/* The account's address; NULL when it has none, or nothing is done with it. */
static json_t *email_for_page(struct ones_request *req, const struct ones_account *account)
{
	if (account->email == NULL || !ones_can_mail(ones_app(req)))
		return NULL;
	return json_pack("{s:s, s:s, s:b}", "email", account->email, "shown", ones_email_shown(req, account->email),
	                 "verified", (int)(account->email_verified_at != 0));
}

/* This request's session among the live ones; NULL when it has ended just now. */
static const struct ones_place *this_place(const struct ones_places *places)
{
	for (size_t i = 0; i < places->count; i++) {
		if (places->all[i].is_this)
			return &places->all[i];
	}
	return NULL;
}

void account_show(struct ones_request *req, int status, const char *notice, int64_t wait_s)
{
	const struct ones_session *session = ones_session(req);
	const char *problem = ones_password_problem(req);
	const struct ones_account *account = NULL;
	struct ones_places places = {0};
	enum ones_result result = ones_sessions(req, &places);
	const struct ones_place *here = this_place(&places);
	json_t *past = result == ONES_RESULT_OK ? past_for_page(req, &result) : NULL;
	json_t *page;

	if (result == ONES_RESULT_OK)
		result = ones_account_by_id(ones_db(req), session->user.id, &account);
	if (result != ONES_RESULT_OK || account == NULL) {
		json_decref(past);
		ones_reply_failure(req, result == ONES_RESULT_OK ? ONES_RESULT_ENDED : result, NULL);
		return;
	}
	page = json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:o, s:b, s:b, s:o*, s:o*, s:o*, s:s*}", "username",
	                 session->user.username, "since", ones_moment_json(session->created_at), "expires",
	                 ones_moment_json(session->expires_at), "browser", here != NULL ? here->browser : "", "os",
	                 here != NULL ? here->os : "", "ip", here != NULL ? here->ip : "", "past", past, "has_past",
	                 json_array_size(past) > 0, "many", places.count > 1, "throttled", ones_wait_json(wait_s),
	                 "address", email_for_page(req, account), "leaves",
	                 account->delete_at != 0 ? ones_moment_json(account->delete_at) : NULL, "why",
	                 problem != NULL ? ones_sentence(req, problem) : NULL);
	if (page != NULL && notice != NULL && json_object_set_new(page, notice, json_true()) != 0) {
		json_decref(page);
		page = NULL;
	}
	ones_reply_page(req, status, "account.html", page);
}

static void account(struct ones_request *req)
{
	if (ones_session(req) == NULL)
		reply_not_signed_in(req);
	else
		account_show(req, 200, ones_query(req, "changed") != NULL ? "changed" : NULL, 0);
}

/* For an address without its last part. */
static void front(struct ones_request *req)
{
	ones_reply_redirect(req, ones_module_url(req, "/account"));
}

void account_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/", .get = front, .needs = ONES_NEEDS_NOTHING});
	ones_route(app, &(struct ones_route){.path = "/account", .get = account, .purpose = ONES_PURPOSE_HOME});
}
