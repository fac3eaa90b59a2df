/* The live and the past sessions of an account, as handlers get them. */
#include "api/session_lists.h"

#include "session/useragent.h"

#include <string.h>

static struct ones_place describe_place(const struct ones_request *req, const struct session_info *place)
{
	return (struct ones_place){
		.id = place->id,
		.created_at = place->created_at,
		.last_seen_at = place->last_seen_at,
		.expires_at = place->expires_at,
		.browser = useragent_browser(place->user_agent),
		.os = useragent_os(place->user_agent),
		.ip = place->ip,
		.is_this = req->verdict.live && strcmp(place->id, req->verdict.session.id) == 0,
	};
}

bool describe_sessions(struct ones_request *req, const struct session_info_list *list, struct ones_places *places)
{
	struct ones_place *all = talloc_array(req, struct ones_place, list->count);

	if (all == NULL)
		return false;
	for (unsigned int i = 0; i < list->count; i++)
		all[i] = describe_place(req, &list->all[i]);
	*places = (struct ones_places){.count = list->count, .all = all};
	return true;
}

enum ones_result ones_sessions(struct ones_request *req, struct ones_places *places)
{
	struct session_info_list list = {0};
	enum db_status status = DB_OK;

	if (req->verdict.live)
		status = session_info_live(req->app->rule.db, req, req->verdict.session.user.id,
		                           req->app->settings->session.idle_timeout, &list);
	if (status != DB_OK)
		return exchange_result(status);
	return describe_sessions(req, &list, places) ? ONES_RESULT_OK : ONES_RESULT_FAILED;
}

enum ones_result ones_past_sessions(struct ones_request *req, size_t max, const struct ones_past **past, size_t *count)
{
	struct ended_session_info *places;
	struct ones_past *all;
	enum db_status status;

	*count = 0;
	if (!req->verdict.live)
		return ONES_RESULT_OK;
	status = session_info_ended(req->app->rule.db, req, req->verdict.session.user.id, (int64_t)max, &places, count);
	if (status != DB_OK)
		return exchange_result(status);
	all = talloc_array(req, struct ones_past, (unsigned)*count);
	if (all == NULL)
		return ONES_RESULT_FAILED;
	for (size_t i = 0; i < *count; i++) {
		const struct ones_place place = describe_place(req, &places[i].place);

		all[i] = (struct ones_past){
			.place = place,
			.ending = {.reason = places[i].reason,
		                   .ended_at = places[i].ended_at,
		                   .by_browser = useragent_browser(places[i].by_user_agent),
		                   .by_os = useragent_os(places[i].by_user_agent),
		                   .by_ip = places[i].by_ip,
		                   .browser = place.browser,
		                   .os = place.os,
		                   .ip = place.ip},
		};
	}
	*past = all;
	return ONES_RESULT_OK;
}
