/* /sessions: where my account is live, and ending one of these sessions. */
#include "account.h"

#include <strings.h>

static json_t *session_json(const struct ones_place *place)
{
	return json_pack("{s:s, s:b, s:o, s:o, s:o, s:s, s:s, s:s}", "id", place->id, "current", (int)place->is_this,
	                 "created_at", ones_time_json(place->created_at), "last_seen_at",
	                 ones_time_json(place->last_seen_at), "expires_at", ones_time_json(place->expires_at),
	                 "browser", place->browser, "os", place->os, "ip", place->ip);
}

static json_t *sessions_json(const struct ones_places *places)
{
	json_t *list = json_array();

	for (size_t i = 0; i < places->count; i++) {
		if (json_array_append_new(list, session_json(&places->all[i])) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static void sessions(struct ones_request *req)
{
	const struct ones_session *session = ones_session(req);
	struct ones_places places;
	enum ones_result result;

	if (session == NULL) {
		reply_not_signed_in(req);
		return;
	}
	result = ones_sessions(req, &places);
	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (ones_is_program(req))
		ones_reply_json(req, 200, json_pack("{s:o}", "sessions", sessions_json(&places)));
	else
		ones_reply_page(req, 200, "sessions.html",
		                json_pack("{s:s, s:o}", "username", session->user.username, "sessions",
		                          places_for_page(&places)));
}

static void end(struct ones_request *req)
{
	const struct ones_session *session = ones_session(req);
	bool found;
	enum ones_result result;

	if (session == NULL) {
		reply_not_signed_in(req);
		return;
	}
	/* Whoever has got hold of a session is not to end its owner's; but anybody may sign out. */
	if (strcasecmp(ones_path(req, "id"), session->id) != 0 && !ones_is_fresh(req)) {
		ones_reply_stale(req, ones_module_url(req, "/sessions"));
		return;
	}
	result = ones_end_session(req, ones_path(req, "id"), &found);
	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (!found)
		ones_reply_problem(req, 404, "not_found", "You have no live session of that name.");
	else if (ones_is_program(req))
		ones_reply_empty(req, 204);
	else
		ones_reply_redirect(req, ones_session(req) != NULL
		                                 ? ones_module_url(req, "/sessions")
		                                 : after_sign_out(req, ones_url(req, "/login?signed_out")));
}

void sessions_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/sessions", .get = sessions});
	ones_route(app, &(struct ones_route){.path = "/sessions/:id/end", .post = end});
}
