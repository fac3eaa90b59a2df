/*
 * POST /nulls/:what gives NULL to a function of onesession.h where a handler gives what ones_field() has returned. The
 * answer tells what came of it, unless the function has answered by itself.
 */
#include "application.h"

#include <string.h>

static void tell(struct ones_request *req, json_t *value)
{
	ones_reply_json(req, 200, json_pack("{s:o?}", "value", value));
}

static void tell_text(struct ones_request *req, const char *text)
{
	tell(req, text != NULL ? json_string(text) : json_null());
}

static void tell_failure(struct ones_request *req, enum ones_result result)
{
	if (result == ONES_RESULT_OK)
		tell(req, json_true());
	else
		ones_reply_failure(req, result, NULL);
}

/* ---- Reading ------------------------------------------------------------------------------------------------- */

static void query(struct ones_request *req)
{
	tell_text(req, ones_query(req, NULL));
}

static void field(struct ones_request *req)
{
	tell_text(req, ones_field(req, NULL));
}

static void param(struct ones_request *req)
{
	tell_text(req, ones_param(req, NULL));
}

static void request_header(struct ones_request *req)
{
	tell_text(req, ones_request_header(req, NULL));
}

static void cookie(struct ones_request *req)
{
	tell_text(req, ones_cookie(req, NULL));
}

static void path(struct ones_request *req)
{
	tell_text(req, ones_path(req, NULL));
}

static void numbers(struct ones_request *req)
{
	int64_t number = 7;

	(void)ones_path_int(req, NULL, &number);
	tell(req, json_integer(number + ones_query_int(req, NULL, 1, 0, 2)));
}

static void truth(struct ones_request *req)
{
	tell(req, json_boolean(ones_field_is_true(req, NULL)));
}

static void throttle(struct ones_request *req)
{
	int64_t retry_after_s;

	tell_failure(req, ones_throttle(req, NULL, &retry_after_s));
}

static void option_number(struct ones_request *req)
{
	tell(req, json_integer(ones_option_number(ones_app(req), NULL)));
}

static void option_text(struct ones_request *req)
{
	tell_text(req, ones_option_text(ones_app(req), NULL));
}

static void plain_name(struct ones_request *req)
{
	tell_text(req, ones_plain_name(req, NULL));
}

static void email(struct ones_request *req)
{
	tell_text(req, ones_plain_email(req, NULL));
}

static void email_shown(struct ones_request *req)
{
	tell_text(req, ones_email_shown(req, NULL));
}

static void name_problem(struct ones_request *req)
{
	tell_text(req, ones_name_problem(NULL));
}

static void session(struct ones_request *req)
{
	tell(req, ones_session_json(NULL));
}

/* ---- Signing in and out, data -------------------------------------------------------------------------------- */

static void username(struct ones_request *req)
{
	struct ones_login login;

	tell_failure(req, ones_login(req, &(struct ones_credentials){.password = "a password"}, &login));
}

static void password(struct ones_request *req)
{
	struct ones_login login;

	tell_failure(req, ones_login(req, &(struct ones_credentials){.username = "alice"}, &login));
}

static void current_password(struct ones_request *req)
{
	struct ones_login login;

	tell_failure(req, ones_change_password(req, NULL, "a new password", &login));
}

static void new_password(struct ones_request *req)
{
	struct ones_login login;

	tell_failure(req, ones_change_password(req, "a password", NULL, &login));
}

static void hash_password(struct ones_request *req)
{
	const char *hash;

	tell_failure(req, ones_hash_password(req, NULL, NULL, NULL, &hash));
}

static void account_by_login(struct ones_request *req)
{
	const struct ones_account *account;
	enum ones_result result = ones_account_by_login(ones_db(req), NULL, &account);

	if (result == ONES_RESULT_OK)
		tell(req, json_boolean(account != NULL));
	else
		ones_reply_failure(req, result, NULL);
}

static enum ones_result add_account(struct ones_db *db, void *context)
{
	int64_t id;

	(void)context;
	return ones_account_add(db, &(struct ones_new_account){.email = NULL}, &id);
}

static void account_add(struct ones_request *req)
{
	tell_failure(req, ones_transact(ones_db(req), add_account, NULL));
}

static void end_session(struct ones_request *req)
{
	bool found = true;
	enum ones_result result = ones_end_session(req, NULL, &found);

	if (result == ONES_RESULT_OK)
		tell(req, json_boolean(found));
	else
		ones_reply_failure(req, result, NULL);
}

static void data(struct ones_request *req)
{
	bool is_set = ones_data_set(req, NULL, json_true());

	(void)ones_data_remove(req, NULL);
	tell(req, json_boolean(is_set || ones_data_get(req, NULL) != NULL));
}

/* ---- Files --------------------------------------------------------------------------------------------------- */

static void remove_stored(struct ones_request *req)
{
	tell_failure(req, ones_remove_stored(req, "covers", NULL));
}

static void remove_in_no_folder(struct ones_request *req)
{
	tell_failure(req, ones_remove_stored(req, NULL, "a"));
}

static void stored(struct ones_request *req)
{
	ones_reply_stored(req, "covers", NULL, "image/png");
}

/* The upload is not looked at. */
static void keep_upload(struct ones_request *req)
{
	tell_failure(req, ones_keep_upload(req, &(struct ones_upload){.fd = -1}, "covers", NULL));
}

/* ---- Addresses and languages --------------------------------------------------------------------------------- */

static void url(struct ones_request *req)
{
	tell_text(req, ones_url(req, NULL));
}

static void next(struct ones_request *req)
{
	tell_text(req, ones_next(req, NULL));
}

static void sign_in_url(struct ones_request *req)
{
	tell_text(req, ones_sign_in_url(req, NULL, false));
}

static void choose_language(struct ones_request *req)
{
	tell(req, json_boolean(ones_choose_language(req, NULL)));
}

static void say(struct ones_request *req)
{
	tell_text(req, ones_say(req, NULL, NULL));
}

static void sentence(struct ones_request *req)
{
	tell_text(req, ones_sentence(req, NULL));
}

static void texts(struct ones_request *req)
{
	tell(req, ones_texts_json(req, NULL));
}

/* ---- Answers ------------------------------------------------------------------------------------------------- */

static void header_name(struct ones_request *req)
{
	ones_header(req, NULL, "a");
	tell(req, json_true());
}

static void header_value(struct ones_request *req)
{
	ones_header(req, "X-A", NULL);
	tell(req, json_boolean(ones_header_can_hold(NULL)));
}

static void set_cookie(struct ones_request *req)
{
	ones_set_cookie(req, &(struct ones_cookie){.name = "a"});
	tell(req, json_true());
}

static void body(struct ones_request *req)
{
	ones_reply_body(req, 200, "text/plain", NULL, 3);
}

static void body_type(struct ones_request *req)
{
	ones_reply_body(req, 200, NULL, "abc", 3);
}

static void redirect(struct ones_request *req)
{
	ones_reply_redirect(req, NULL);
}

static void page(struct ones_request *req)
{
	ones_reply_page(req, 200, NULL, json_object());
}

static void page_values(struct ones_request *req)
{
	ones_reply_page(req, 200, "lost.html", NULL);
}

static void file(struct ones_request *req)
{
	ones_reply_file(req, NULL, "text/css");
}

static void file_type(struct ones_request *req)
{
	ones_reply_file(req, "style.css", NULL);
}

static void allow(struct ones_request *req)
{
	ones_allow(req, NULL);
	tell(req, json_true());
}

static void problem_code(struct ones_request *req)
{
	ones_reply_problem(req, 400, NULL, "A sentence.");
}

static void problem_detail(struct ones_request *req)
{
	ones_reply_problem(req, 400, "bad_request", NULL);
}

static void failure(struct ones_request *req)
{
	ones_reply_failure(req, ONES_RESULT_LIMIT, NULL);
}

static void cooldown(struct ones_request *req)
{
	ones_reply_failure(req, ONES_RESULT_COOLDOWN, NULL);
}

static const struct {
	const char *what;
	ones_handler *give;
} all[] = {
	{"query", query},
	{"field", field},
	{"param", param},
	{"request_header", request_header},
	{"cookie", cookie},
	{"path", path},
	{"numbers", numbers},
	{"truth", truth},
	{"plain_name", plain_name},
	{"email", email},
	{"email_shown", email_shown},
	{"name_problem", name_problem},
	{"session", session},
	{"username", username},
	{"password", password},
	{"current_password", current_password},
	{"new_password", new_password},
	{"hash_password", hash_password},
	{"throttle", throttle},
	{"option_number", option_number},
	{"option_text", option_text},
	{"account_by_login", account_by_login},
	{"account_add", account_add},
	{"end_session", end_session},
	{"data", data},
	{"remove_stored", remove_stored},
	{"remove_in_no_folder", remove_in_no_folder},
	{"stored", stored},
	{"keep_upload", keep_upload},
	{"url", url},
	{"next", next},
	{"sign_in_url", sign_in_url},
	{"choose_language", choose_language},
	{"say", say},
	{"sentence", sentence},
	{"texts", texts},
	{"header_name", header_name},
	{"header_value", header_value},
	{"set_cookie", set_cookie},
	{"body", body},
	{"body_type", body_type},
	{"redirect", redirect},
	{"page", page},
	{"page_values", page_values},
	{"file", file},
	{"file_type", file_type},
	{"allow", allow},
	{"problem_code", problem_code},
	{"problem_detail", problem_detail},
	{"failure", failure},
	{"cooldown", cooldown},
};

static void give(struct ones_request *req)
{
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		if (strcmp(all[i].what, ones_path(req, "what")) == 0) {
			all[i].give(req);
			return;
		}
	}
	ones_reply_empty(req, 404);
}

void nulls_setup(struct ones_app *app)
{
	ones_route(app,
	           &(struct ones_route){
			   .path = "/nulls/:what", .post = give, .needs = ONES_NEEDS_SESSION_DATA, .hashes = true});
}
