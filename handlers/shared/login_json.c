/* A login as programs get it. */
#include "shared.h"

static json_t *displaced_json(const struct ones_places *places)
{
	json_t *list = json_array();

	for (size_t i = 0; i < places->count; i++) {
		const struct ones_place *place = &places->all[i];

		if (json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:s}", "id", place->id, "last_seen_at",
		                                          ones_time_json(place->last_seen_at), "browser",
		                                          place->browser, "os", place->os)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *session_answer_json(const struct ones_session *session)
{
	return json_pack("{s:o, s:o}", "user", ones_user_json(&session->user), "session", ones_session_json(session));
}

json_t *login_json(const struct ones_login *login)
{
	return json_pack("{s:o, s:o, s:o, s:o*, s:s*}", "user", ones_user_json(&login->session.user), "session",
	                 ones_session_json(&login->session), "displaced", displaced_json(&login->displaced),
	                 "delete_at", login->delete_at != 0 ? ones_time_json(login->delete_at) : NULL, "token",
	                 login->token);
}

json_t *new_key_json(const struct ones_login *login)
{
	return with_more(session_answer_json(&login->session), json_pack("{s:s*}", "token", login->token));
}
