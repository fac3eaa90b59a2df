/* Routing: the route of a request, the parts of its path, and what is answered before any handler. */
#include "api/routing.h"

#include "api/callers.h"
#include "base/utf8.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static void reply_methods(struct ones_request *req)
{
	const char *allowed = routes_allowed_methods(req->app, req, req->route);

	if (allowed == NULL) {
		exchange_fail(req, "out of memory for Allow");
		return;
	}
	ones_header(req, "Allow", allowed);
	ones_reply_problem(req, 405, "method_not_allowed", "This address does not take that method.");
}

static void reply_turned_away(struct ones_request *req)
{
	counters_add(&req->app->board->counters, COUNTER_THROTTLED);
	ones_reply_problem(req, 503, "busy", "There is more to do than can be done at this moment. Please try again.");
}

/* Is there an escape for a byte, "%2F"? Each byte when `byte` is NULL. */
static bool has_escape(const char *text, size_t length, const char *byte)
{
	for (size_t i = 0; i + 2 < length; i++) {
		if (text[i] == '%' && isxdigit((unsigned char)text[i + 1]) && isxdigit((unsigned char)text[i + 2]) &&
		    (byte == NULL || strncasecmp(text + i + 1, byte, 2) == 0))
			return true;
	}
	return false;
}

/*
 * What the web server has decoded has no escape left. Where there is one, the path was passed on as it came, as the
 * sample for nginx does with addresses that can be read in two ways, or it was escaped twice: a part of it could be
 * read in two ways as well. A slash that was decoded shows in the request's target only.
 */
static bool can_have_parts(const struct ones_request *req, const struct route_parts *parts)
{
	const char *target;
	size_t length;

	if (parts->count == 0)
		return true;
	target = fcgi_param(req->http->fcgi, "REQUEST_URI");
	length = target != NULL ? strcspn(target, "?") : 0;
	for (size_t i = 0; i < parts->count; i++) {
		if (has_escape(parts->all[i].value, parts->all[i].value_length, NULL))
			return false;
	}
	return !has_escape(target, length, "2F") && !has_escape(target, length, "00") && utf8_is_valid(req->http->path);
}

/* False when out of memory. */
static bool keep_parts(struct ones_request *req, const struct route_parts *parts)
{
	for (size_t i = 0; i < parts->count; i++) {
		const struct route_part *part = &parts->all[i];
		const char *value = talloc_strndup(req, part->value, part->value_length);

		if (value == NULL)
			return false;
		req->parts[i] = (struct path_part){part->name, part->name_length, value};
	}
	req->part_count = parts->count;
	return true;
}

/* Sets req->route and req->parts. */
static void find_route(struct ones_request *req)
{
	struct route_parts parts = {0};
	const struct route *found = req->http->is_authorizer
	                                    ? routes_for(req->app, ONES_PURPOSE_GUARD)
	                                    : routes_find(req->app, req->http->path, req->http->method, &parts);

	if (found == NULL || !can_have_parts(req, &parts) ||
	    (found->declared.operators_only && !networks_have_text(req->app->operators, req->http->remote_addr)) ||
	    !caller_may_see(req, &found->declared))
		return;
	req->route = found;
	if (!keep_parts(req, &parts))
		exchange_fail(req, "out of memory for the parts of the path");
}

void routing_run(struct ones_request *req)
{
	const struct ones_route *route;

	/* An authorizer's request has the method of the request that it is about. */
	if (req->http->is_authorizer) {
		req->http->method = ONES_METHOD_GET;
		req->http->is_head = false;
	}
	find_route(req);
	route = req->route != NULL ? &req->route->declared : NULL;
	if (route != NULL && (route->scope != NULL || (route->navigations && !request_is_navigation(req->http))))
		req->http->is_program = true;
	if (route == NULL)
		ones_reply_problem(req, 404, "not_found", "There is nothing at this address.");
	else if (route_handler(route, req->http->method) == NULL)
		reply_methods(req);
	else if (req->preview.is_turned_away)
		reply_turned_away(req);
	else if (!route->cross_site && request_is_forged(req->http))
		ones_reply_problem(req, 403, "cross_site",
		                   "Another site made your browser send this. It was not done.");
	req->was_answered = response_is_there(&req->response);
}
