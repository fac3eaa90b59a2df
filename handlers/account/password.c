/* POST /password: another password; every other session of the account ends. */
#include "account.h"

static void reply_changed(struct ones_request *req, const struct ones_login *changed)
{
	if (ones_is_program(req))
		ones_reply_json(req, 200, new_key_json(changed));
	else
		ones_reply_redirect(req, ones_module_url(req, "/account?changed"));
}

static void show_password_refused(struct ones_request *req, enum ones_result result, const struct ones_login *changed)
{
	switch (result) {
	case ONES_RESULT_INVALID: account_show(req, 401, "wrong", 0); break;
	case ONES_RESULT_UNACCEPTABLE: account_show(req, 400, "unacceptable", 0); break;
	case ONES_RESULT_THROTTLED:
		ones_retry_after(req, changed->retry_after_s);
		account_show(req, 429, NULL, changed->retry_after_s);
		break;
	case ONES_RESULT_ENDED: reply_not_signed_in(req); break;
	default: ones_reply_failure(req, result, changed); break;
	}
}

static void password(struct ones_request *req)
{
	const char *current_password = ones_field(req, "current_password");
	const char *new_password = ones_field(req, "new_password");
	struct ones_login changed;
	enum ones_result result;

	if (ones_session(req) == NULL) {
		reply_not_signed_in(req);
		return;
	}
	if (current_password == NULL || new_password == NULL) {
		ones_reply_problem(req, 400, "bad_request", "Both current_password and new_password are needed.");
		return;
	}
	result = ones_change_password(req, current_password, new_password, &changed);
	if (result == ONES_RESULT_OK)
		reply_changed(req, &changed);
	else if (ones_is_program(req))
		ones_reply_failure(req, result, &changed);
	else
		show_password_refused(req, result, &changed);
}

void password_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/password", .post = password, .hashes = true});
}
