/* /login: the sign-in page, and signing in by form or JSON. */
#include "setup.h"

static void show_page(struct ones_request *req, int status, const char *notice, const char *username, const char *next)
{
	const struct ones_text texts[] = {
		{"notice", notice},     {"notice_hidden", notice[0] == '\0' ? "hidden" : ""},
		{"username", username}, {"next", next},
		{NULL, NULL},
	};

	ones_reply_page(req, status, "login.html", texts);
}

/* Whoever has just signed out, or never was signed in, knows it. */
static const char *notice_of(enum ones_reason reason)
{
	return reason == ONES_UNAUTHENTICATED || reason == ONES_LOGGED_OUT ? "" : ones_reason_text(reason);
}

void login_show(struct ones_request *req, int status, const char *next)
{
	show_page(req, status, notice_of(ones_ending(req)->reason), "", next != NULL ? next : "");
}

static void login_page(struct ones_request *req)
{
	const char *next = ones_query(req, "next");

	if (ones_session(req) != NULL)
		ones_reply_redirect(req, ones_next(req, next));
	else
		login_show(req, 200, next);
}

static json_t *displaced_json(const struct ones_login *login)
{
	json_t *list = json_array();

	for (size_t i = 0; i < login->displaced_count; i++) {
		const struct ones_displaced *displaced = &login->displaced[i];

		if (json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:s}", "id", displaced->id, "last_seen_at",
		                                          ones_time_json(displaced->last_seen_at), "browser",
		                                          displaced->browser, "os", displaced->os)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static void reply_signed_in(struct ones_request *req, const struct ones_login *login)
{
	if (ones_is_program(req))
		ones_reply_json(req, 200,
		                json_pack("{s:o, s:o, s:o}", "user", ones_user_json(&login->session.user), "session",
		                          ones_session_json(&login->session), "displaced", displaced_json(login)));
	else
		ones_reply_redirect(req, ones_next(req, ones_field(req, "next")));
}

static void reply_invalid(struct ones_request *req, const char *username)
{
	static const char notice[] = "The name or the password is not right.";
	const char *next = ones_field(req, "next");

	if (ones_is_program(req))
		ones_reply_problem(req, 401, "invalid_credentials", notice);
	else
		show_page(req, 401, notice, username, next != NULL ? next : "");
}

static void login(struct ones_request *req)
{
	const char *username = ones_field(req, "username");
	const char *password = ones_field(req, "password");
	struct ones_login made;
	enum ones_result result;

	if (username == NULL || password == NULL) {
		ones_reply_problem(req, 400, "bad_request", "Both username and password are needed.");
		return;
	}
	result = ones_login(req, username, password, &made);
	if (result == ONES_OK)
		reply_signed_in(req, &made);
	else if (result == ONES_INVALID)
		reply_invalid(req, username);
	else
		ones_reply_failure(req, result);
}

void login_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/login", .get = login_page, .post = login, .hashes = true});
}
