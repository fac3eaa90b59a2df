/* POST /api/check: is a key that of a live session, and does that fit what a place needs? It waits for the look-up
 * only. */
#include "programs.h"

/* A live session does not do where a place needs more: `needed` says what, and what that code says is the reason. */
static void reply_lacking(struct ones_request *req, const struct requirement *requirement)
{
	ones_reply_json(req, 200,
	                json_pack("{s:b, s:s, s:n, s:n, s:o}", "live", 0, "reason",
	                          requirement_code(requirement->result), "ended_at", "by", "required",
	                          requirement_needed_json(requirement)));
}

static void judge(struct ones_request *req, const char *require)
{
	const struct ones_session *session = ones_session(req);
	const struct ones_ending *ending = ones_ending(req);
	const struct requirement requirement =
		requirement_judge(require != NULL ? require : "live", session, ones_found_at(req));

	if (requirement.result == REQUIREMENT_NOT_UNDERSTOOD) {
		ones_stay_passive(req);
		reply_bad_request(req, "require is not understood.");
	} else if (session == NULL) {
		ones_reply_json(req, 200,
		                json_pack("{s:b, s:s, s:o, s:o}", "live", 0, "reason", ones_reason_code(ending->reason),
		                          "ended_at", ones_time_json(ending->ended_at), "by", ones_by_json(ending)));
	} else if (requirement.result != REQUIREMENT_HOLDS) {
		reply_lacking(req, &requirement);
	} else {
		ones_reply_json(req, 200,
		                json_pack("{s:b, s:o, s:o}", "live", 1, "user", ones_user_json(&session->user),
		                          "session", ones_session_json(session)));
	}
}

static void check(struct ones_request *req)
{
	const json_t *body = body_of(req);
	const json_t *require = json_object_get(body, "require");
	const json_t *passive = json_object_get(body, "passive");

	if (body == NULL)
		return;
	if (json_is_true(passive))
		ones_stay_passive(req);
	if (!json_is_string(json_object_get(body, "token")) || (passive != NULL && !json_is_boolean(passive)) ||
	    (require != NULL && !json_is_string(require))) {
		ones_stay_passive(req);
		reply_bad_request(req, "token is a text; passive, if it is there, true or false, and require a text.");
	} else {
		judge(req, json_string_value(require));
	}
}

void api_check_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/api/check",
	                                     .post = check,
	                                     .bodies = ONES_BODY_JSON,
	                                     .quick = true,
	                                     .scope = "sessions",
	                                     .key_field = "token"});
}
