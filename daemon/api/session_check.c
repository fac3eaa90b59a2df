/* The hook: which session does a request present, and is it still the live one of its account? */
#include "api/session_check.h"

#include "api/keys.h"
#include "session/useragent.h"

static const char *or_empty(const char *text)
{
	return text != NULL ? text : "";
}

/* Unless that was done in a batch. */
static void look_up(struct ones_request *req)
{
	const struct app_preview *preview = &req->preview;
	struct app_lookup *lookup = &req->lookup;
	struct session_lookup *found = NULL;

	if (preview->key_count == 0 || lookup->status != DB_OK || lookup->result != NULL)
		return;
	lookup->status = session_lookup(&req->app->rule, req, preview->keys, NULL, preview->key_count, &found);
	lookup->result = found;
	lookup->first = 0;
}

static bool may_be_live(const struct ones_request *req, size_t which)
{
	return rule_may_be_live(&req->app->rule, req->lookup.result, req->lookup.first + which);
}

static bool has_ended(const struct ones_request *req, size_t which)
{
	return rule_has_ended(&req->app->rule, req->lookup.result, req->lookup.first + which);
}

/* The first key from `begin` on, before `end`, of which `is_so`; `end`: there is none. */
static size_t find(const struct ones_request *req, size_t begin, size_t end,
                   bool (*is_so)(const struct ones_request *req, size_t which))
{
	size_t which = begin;

	while (which < end && !is_so(req, which))
		which++;
	return which;
}

/* One that may be live, and is written as it was told. */
static bool lets_in(const struct ones_request *req, size_t which)
{
	const struct app_preview *preview = &req->preview;

	return (which < preview->readings_at || which >= preview->own_at) && may_be_live(req, which);
}

/* One of the application's making that has ended, or is written in another way than it was told. */
static bool stands_in_the_way(const struct ones_request *req, size_t which)
{
	return has_ended(req, which) || (which >= req->preview.readings_at && may_be_live(req, which));
}

/* The first key of the application's making that stands in the way of number `live`; preview->own_at: there is none. */
static size_t find_in_the_way(const struct ones_request *req, size_t live)
{
	const struct app_lookup *lookup = &req->lookup;
	size_t end = req->preview.own_at;
	size_t which = find(req, 0, end, stands_in_the_way);

	while (which < end && rule_was_left_for(lookup->result, lookup->first + which, lookup->first + live))
		which = find(req, which + 1, end, stands_in_the_way);
	return which;
}

/*
 * Of the keys that were presented it is the first that is live; else the first of which it is known how it ended; else
 * that of the daemon's own cookie, which what is kept for nobody belongs to; else the first. False: there is one that
 * is live and not written as it was told, and the request is nobody's.
 *
 * But before one that is live comes one of the application's making that has ended: the application looks at its keys
 * by itself, and may take another of them than we do, or read one in what is not written as it was told. With a session
 * of any account somebody who was put out would go on as the one whom that key shows. A key that says nothing changes
 * nothing: a neighbouring host may have planted it.
 */
static bool choose(const struct ones_request *req, size_t *which)
{
	const struct app_preview *preview = &req->preview;
	size_t live = find(req, 0, preview->session_keys, lets_in);
	size_t found;

	if (live < preview->session_keys) {
		found = find_in_the_way(req, live);
		*which = found < preview->own_at ? found : live;
		return *which == live || has_ended(req, *which);
	}
	found = find(req, 0, preview->session_keys, has_ended);
	*which = found;
	if (found < preview->session_keys)
		return true;
	*which = keys_own(req) != NULL ? preview->own_at : 0;
	return find(req, 0, preview->session_keys, may_be_live) == preview->session_keys;
}

enum db_status session_check(struct ones_request *req)
{
	const struct client client = exchange_client(req);
	const struct app_preview *preview = &req->preview;
	const struct app_lookup *lookup = &req->lookup;
	bool is_doubtful = preview->is_doubtful;
	size_t which = 0;
	enum db_status status;

	look_up(req);
	req->has_key = preview->session_keys > 0;
	if (req->has_key && lookup->status == DB_OK)
		is_doubtful = !choose(req, &which) || is_doubtful;
	if (req->has_key) {
		req->key = preview->keys[which];
		req->is_in_authorization = keys_is_in_authorization(req, which);
		status = lookup->status;
		if (status == DB_OK && !is_doubtful)
			status = rule_check(&req->app->rule, req, lookup->result, lookup->first + which, &client,
			                    &req->verdict);
		if (status != DB_OK)
			return status;
	}
	/* With a reason, so that web servers keep from the application what is in doubt. */
	if (is_doubtful)
		req->verdict = (struct rule_verdict){.reason = ONES_REASON_REVOKED};
	req->ending = (struct ones_ending){
		.reason = req->verdict.reason,
		.ended_at = req->verdict.ended_at,
		.by_browser = useragent_browser(req->verdict.by_user_agent),
		.by_os = useragent_os(req->verdict.by_user_agent),
		.by_ip = or_empty(req->verdict.by_ip),
		.browser = useragent_browser(req->verdict.user_agent),
		.os = useragent_os(req->verdict.user_agent),
		.ip = or_empty(req->verdict.ip),
	};
	return DB_OK;
}

enum db_status session_recheck(struct ones_request *req)
{
	req->lookup = (struct app_lookup){.status = DB_OK};
	return session_check(req);
}
