/* Values of pages. */
#include "shared.h"

json_t *ending_for_page(const struct ones_ending *ending)
{
	/* Of a browser that was never signed in nothing has ended. */
	if (ending->reason == ONES_REASON_LIVE || ending->reason == ONES_REASON_UNAUTHENTICATED)
		return NULL;
	return json_pack("{s:b, s:s, s:s, s:s, s:o, s:{s:s, s:s, s:s}}", ones_reason_code(ending->reason), 1, "browser",
	                 ending->by_browser, "os", ending->by_os, "ip", ending->by_ip, "at",
	                 ones_moment_json(ending->ended_at), "here", "browser", ending->browser, "os", ending->os, "ip",
	                 ending->ip);
}

static json_t *place_for_page(const struct ones_place *place)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:b}", "id", place->id, "browser", place->browser, "os",
	                 place->os, "ip", place->ip, "since", ones_moment_json(place->created_at), "seen",
	                 ones_moment_json(place->last_seen_at), "is_this", (int)place->is_this);
}

json_t *places_for_page(const struct ones_places *places)
{
	json_t *list = json_array();

	for (size_t i = 0; i < places->count; i++) {
		if (json_array_append_new(list, place_for_page(&places->all[i])) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *with_more(json_t *values, json_t *more)
{
	if (values != NULL && (more == NULL || json_object_update(values, more) != 0)) {
		json_decref(values);
		values = NULL;
	}
	json_decref(more);
	return values;
}
