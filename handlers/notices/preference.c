/* /notices: whether I want a mail when my account is signed in in a browser that was never here. */
#include "notices.h"

#include <string.h>

static void show_page(struct ones_request *req, const struct owner *owner)
{
	const struct ones_app *app = ones_app(req);

	ones_reply_page(req, 200, "notices.html",
	                json_pack("{s:s, s:b, s:b, s:b, s:b, s:b}", "username", ones_session(req)->user.username,
	                          "offered", (int)notices_tell_of(app, "new_browser"), "wanted",
	                          (int)owner->wants_new_browser, "tells_password",
	                          (int)notices_tell_of(app, "password_changed"), "tells_email",
	                          (int)notices_tell_of(app, "email_changed"), "reached", (int)owner->is_reached));
}

static void show(struct ones_request *req)
{
	const struct ones_session *session = ones_session(req);
	enum ones_result result;
	struct owner owner;

	if (session == NULL) {
		reply_not_signed_in(req);
		return;
	}
	result = owner_find(ones_db(req), session->user.id, &owner);
	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (ones_is_program(req))
		ones_reply_json(req, 200, json_pack("{s:b}", "new_browser", (int)owner.wants_new_browser));
	else
		show_page(req, &owner);
}

/* False: it is neither. */
static bool read_choice(const struct ones_request *req, bool *is_wanted)
{
	const char *text = ones_field(req, "new_browser");

	*is_wanted = ones_field_is_true(req, "new_browser");
	return *is_wanted || json_is_false(json_object_get(ones_json(req), "new_browser")) ||
	       (text != NULL && strcmp(text, "false") == 0);
}

static void choose(struct ones_request *req)
{
	static const char sql[] = "UPDATE users SET notify_new_browser = $2 WHERE id = $1";
	const struct ones_session *session = ones_session(req);
	enum ones_result result;
	bool is_wanted;

	if (session == NULL) {
		reply_not_signed_in(req);
		return;
	}
	/* Whoever has got hold of a session is not to have its owner learn no more. */
	if (!ones_is_fresh(req)) {
		ones_reply_stale(req, ones_module_url(req, "/notices"));
		return;
	}
	if (!read_choice(req, &is_wanted)) {
		ones_reply_problem(req, 400, "bad_request", "The field new_browser is needed: true or false.");
		return;
	}
	result = ones_sql(ones_db(req), NULL, sql, ONES_VALUES(ONES_INT(session->user.id), ONES_BOOL(is_wanted)));
	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (ones_is_program(req))
		ones_reply_empty(req, 204);
	else
		ones_reply_redirect(req, ones_module_url(req, "/notices"));
}

void preference_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/notices", .get = show, .post = choose});
}
