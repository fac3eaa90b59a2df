/*
 * The application's own routes for login and logout, which set session data before and after it: POST /enter with
 * {"username", "password", "before": {NAME: VALUE...}, "after": {...}}, with "afresh": true as if the browser had
 * signed out before, and POST /leave with {"before", "after"}.
 */
#include "application.h"

static json_t *kept_value(struct ones_request *req, const char *name)
{
	json_t *value = json_deep_copy(ones_data_get(req, name));

	return value != NULL ? value : json_null();
}

/* The value under "kept" between both steps and after them. */
static void reply_steps(struct ones_request *req, json_t *between)
{
	json_decref(keep_members(req, "after"));
	ones_reply_json(req, 200, json_pack("{s:o, s:o}", "between", between, "end", kept_value(req, "kept")));
}

static void enter(struct ones_request *req)
{
	const char *username = ones_field(req, "username");
	const char *password = ones_field(req, "password");
	struct ones_login login;
	enum ones_result result = ONES_RESULT_OK;

	json_decref(keep_members(req, "before"));
	if (username == NULL || password == NULL) {
		ones_reply_problem(req, 400, "bad_request", "The name and the password are needed.");
		return;
	}
	if (ones_field_is_true(req, "afresh"))
		result = ones_logout(req);
	if (result != ONES_RESULT_OK) {
		ones_reply_failure(req, result, NULL);
		return;
	}
	result = ones_login(req, &(struct ones_credentials){.username = username, .password = password}, &login);
	if (result == ONES_RESULT_OK)
		reply_steps(req, kept_value(req, "kept"));
	else
		ones_reply_failure(req, result, &login);
}

static void leave(struct ones_request *req)
{
	enum ones_result result;

	json_decref(keep_members(req, "before"));
	result = ones_logout(req);
	if (result == ONES_RESULT_OK)
		reply_steps(req, kept_value(req, "kept"));
	else
		ones_reply_failure(req, result, NULL);
}

void entrance_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){
				.path = "/enter", .post = enter, .hashes = true, .needs = ONES_NEEDS_SESSION_DATA});
	ones_route(app, &(struct ones_route){.path = "/leave", .post = leave, .needs = ONES_NEEDS_SESSION_DATA});
}
