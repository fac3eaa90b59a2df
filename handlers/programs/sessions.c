/* GET /api/sessions?user=, DELETE /api/sessions/ID. */
#include "programs.h"

static json_t *places_json(const struct ones_places *places)
{
	json_t *list = json_array();

	for (size_t i = 0; i < places->count; i++) {
		const struct ones_place *place = &places->all[i];

		if (json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o, s:s, s:s, s:s}", "id", place->id,
		                                          "created_at", ones_time_json(place->created_at),
		                                          "last_seen_at", ones_time_json(place->last_seen_at),
		                                          "expires_at", ones_time_json(place->expires_at), "browser",
		                                          place->browser, "os", place->os, "ip", place->ip)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static void list(struct ones_request *req)
{
	const char *user = ones_query(req, "user");
	struct found_account account;
	struct ones_places places = {0};
	enum ones_result result;

	if (user == NULL || user[0] == '\0') {
		reply_bad_request(req, "user is the name of an account.");
		return;
	}
	result = find_account(req, user, &account);
	if (result == ONES_RESULT_OK && account.id == 0) {
		reply_not_there(req, "There is no account of that name.");
		return;
	}
	if (result == ONES_RESULT_OK)
		result = ones_sessions_of(req, account.id, &places);
	if (result == ONES_RESULT_OK)
		ones_reply_json(req, 200, json_pack("{s:o}", "sessions", places_json(&places)));
	else
		ones_reply_failure(req, result, NULL);
}

struct ending {
	const char *id;
	enum ones_reason reason;
	bool found;
};

static enum ones_result end_one(struct ones_db *db, void *context)
{
	struct ending *ending = context;

	return ones_session_end(db, ending->id, ending->reason, &ending->found);
}

static void end(struct ones_request *req)
{
	struct ending ending = {.id = ones_path(req, "id")};
	enum ones_result result;

	if (!read_reason(req, &ending.reason))
		return;
	result = ones_transact(ones_db(req), end_one, &ending);
	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (!ending.found)
		reply_not_there(req, "There is no session of that id, or it has ended.");
	else
		ones_reply_empty(req, 204);
}

void api_sessions_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/api/sessions",
	                                     .get = list,
	                                     .needs = ONES_NEEDS_DATABASE,
	                                     .bodies = ONES_BODY_JSON,
	                                     .scope = "sessions"});
	ones_route(app, &(struct ones_route){.path = "/api/sessions/:id",
	                                     .delete = end,
	                                     .needs = ONES_NEEDS_DATABASE,
	                                     .bodies = ONES_BODY_JSON,
	                                     .scope = "sessions"});
}
