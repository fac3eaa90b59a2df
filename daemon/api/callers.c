/* Calls of the site's own programs: addresses, tokens, scopes (RFC 6750). */
#include "api/callers.h"

#include "base/clock.h"
#include "base/networks.h"
#include "http/authorization.h"

#include <string.h>

/* What came too fast may come again in the next second. */
#define RATE_RETRY_S 1

bool caller_may_see(const struct ones_request *req, const struct ones_route *route)
{
	return route->scope == NULL || networks_have_text(req->app->api_clients, req->http->remote_addr);
}

/* Which of missing, unknown, revoked and expired it is, is not told. */
static void reply_invalid_token(struct ones_request *req)
{
	ones_header(req, "WWW-Authenticate", "Bearer realm=\"onesession\", error=\"invalid_token\"");
	ones_reply_problem(req, 401, "invalid_token", "A token of the API is needed: Authorization: Bearer ost_...");
}

static void reply_insufficient_scope(struct ones_request *req, const char *scope)
{
	char *field =
		talloc_asprintf(req, "Bearer realm=\"onesession\", error=\"insufficient_scope\", scope=\"%s\"", scope);

	if (field == NULL) {
		exchange_fail(req, "out of memory for WWW-Authenticate");
		return;
	}
	ones_header(req, "WWW-Authenticate", field);
	ones_reply_problem_with(req, 403, "insufficient_scope", "The token is not for that.",
	                        json_pack("{s:s}", "scope", scope));
}

/* NULL: there is none. */
static const char *bearer(const struct ones_request *req)
{
	const char *field = ones_request_header(req, "Authorization");
	struct fcgi_text credentials;

	return field != NULL && authorization_bearer((struct fcgi_text){field, strlen(field)}, &credentials)
	               ? credentials.at
	               : NULL;
}

/* What is no key, such as a token of the API, or is not there, is looked up like any other, together with the token: it
 * is nobody's. */
static void read_key(struct ones_request *req, const char *field)
{
	const char *token = ones_field(req, field);

	if (token == NULL || key_is_of_api(token))
		token = "";
	req->preview.bearer_at = req->preview.key_count = req->preview.session_keys = 1;
	req->preview.keys[0] = token_key_of_any(token);
}

bool caller_read(struct ones_request *req)
{
	const struct ones_route *route = &req->route->declared;

	if (route->scope == NULL || route->scope[0] == '\0' || req->preview.has_caller)
		return true;
	if (!api_token_key(bearer(req), &req->preview.caller)) {
		reply_invalid_token(req);
		return false;
	}
	req->preview.has_caller = true;
	if (route->key_field != NULL)
		read_key(req, route->key_field);
	return true;
}

static enum db_status find(struct ones_request *req, struct api_caller *caller)
{
	const struct app_lookup *lookup = &req->lookup;

	if (lookup->status == DB_OK && lookup->result != NULL && lookup->result->has_callers) {
		*caller = session_lookup_caller(lookup->result, lookup->first);
		return DB_OK;
	}
	return lookup->status == DB_OK ? api_tokens_find(req->app->rule.db, req, &req->preview.caller, caller)
	                               : lookup->status;
}

static bool is_too_fast(const struct ones_request *req)
{
	int64_t limit = req->app->settings->api.rate;

	return limit > 0 &&
	       !call_rates_count(&req->app->board->call_rates, req->caller.id, limit, clock_monotonic_ms());
}

bool caller_admit(struct ones_request *req)
{
	const struct ones_route *route = &req->route->declared;
	enum db_status status;

	if (!req->preview.has_caller || req->caller.id != 0)
		return true;
	status = find(req, &req->caller);
	if (status != DB_OK) {
		ones_reply_failure(req, exchange_result(status), NULL);
	} else if (req->caller.id == 0) {
		reply_invalid_token(req);
	} else if (is_too_fast(req)) {
		counters_add(&req->app->board->counters, COUNTER_THROTTLED);
		ones_retry_after(req, RATE_RETRY_S);
		ones_reply_problem(req, 429, "too_many_attempts", "There are too many calls a second with this token.");
	} else if (!api_scopes_have(req->caller.scopes, route->scope)) {
		reply_insufficient_scope(req, route->scope);
	} else {
		/* Of no consequence when it fails. */
		if (req->caller.touch_is_due)
			(void)api_tokens_touch(req->app->rule.db, req->caller.id);
		return true;
	}
	return false;
}

const char *ones_caller(const struct ones_request *req)
{
	return req->caller.name;
}

bool ones_caller_may(struct ones_request *req, const char *scope)
{
	if (api_scopes_have(req->caller.scopes, scope))
		return true;
	reply_insufficient_scope(req, scope);
	return false;
}

void ones_stay_passive(struct ones_request *req)
{
	req->is_passive = true;
}
