/* /confirm: who is signed in proves it again, before what asks for that. */
#include "account.h"

#include <string.h>

/* Where to go who does not want to: not to what has led here, which would lead here again. */
static const char *way_back(struct ones_request *req)
{
	const char *before = ones_page_before(req);
	const char *here = ones_module_url(req, "/confirm");
	size_t length = strlen(here);

	return ones_next(req, before != NULL && strncmp(before, here, length) == 0 ? NULL : before);
}

/* `more` says what has just gone wrong; takes over the reference. */
static void show(struct ones_request *req, int status, const char *next, bool lost, json_t *more)
{
	json_t *page = json_pack("{s:s, s:s, s:b, s:s}", "username", ones_session(req)->user.username, "next",
	                         next != NULL ? next : "", "lost", (int)lost, "back", way_back(req));

	ones_allow_form_redirects(req);
	ones_reply_page(req, status, "confirm.html", with_more(page, more));
}

/* Signing in proves it as well, so that leads on. */
static void reply_to_nobody(struct ones_request *req, const char *next, bool lost)
{
	if (ones_is_program(req))
		ones_reply_unauthenticated(req);
	else
		ones_reply_redirect(req, ones_sign_in_url(req, next, lost));
}

static void confirm_page(struct ones_request *req)
{
	const char *next = ones_query(req, "next");
	bool lost = ones_query(req, "lost") != NULL;

	if (ones_session(req) == NULL)
		reply_to_nobody(req, next, lost);
	else
		show(req, 200, next, lost, json_object());
}

static void show_not_confirmed(struct ones_request *req, enum ones_result result, const struct ones_login *login)
{
	const char *next = ones_field(req, "next");
	bool lost = ones_field_is_true(req, "lost");

	switch (result) {
	case ONES_RESULT_INVALID: show(req, 401, next, lost, json_pack("{s:b}", "wrong", 1)); break;
	case ONES_RESULT_THROTTLED:
		ones_retry_after(req, login->retry_after_s);
		show(req, 429, next, lost, json_pack("{s:o}", "throttled", ones_wait_json(login->retry_after_s)));
		break;
	case ONES_RESULT_ENDED: reply_to_nobody(req, next, lost); break;
	default: ones_reply_failure(req, result, login); break;
	}
}

static void confirm(struct ones_request *req)
{
	const char *password = ones_field(req, "password");
	struct ones_login confirmed;
	enum ones_result result;

	if (ones_session(req) == NULL) {
		reply_to_nobody(req, ones_field(req, "next"), ones_field_is_true(req, "lost"));
		return;
	}
	if (password == NULL) {
		ones_reply_problem(req, 400, "bad_request", "The password is needed.");
		return;
	}
	result = ones_confirm(req, password, &confirmed);
	if (result != ONES_RESULT_OK && ones_is_program(req))
		ones_reply_failure(req, result, &confirmed);
	else if (result != ONES_RESULT_OK)
		show_not_confirmed(req, result, &confirmed);
	else if (ones_is_program(req))
		ones_reply_json(req, 200, new_key_json(&confirmed));
	else
		ones_reply_redirect(req, ones_next(req, ones_field(req, "next")));
}

void confirm_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/confirm",
	                                     .get = confirm_page,
	                                     .post = confirm,
	                                     .hashes = true,
	                                     .purpose = ONES_PURPOSE_CONFIRM});
}
