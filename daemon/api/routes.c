/* The table of routes: adding one, and finding the one that serves a path. */
#include "api/routes.h"

#include "api/route_pattern.h"
#include "session/api_tokens.h"

#include <string.h>

/* ---- Adding one --------------------------------------------------------------------------------------------- */

static bool has_handler_for_method(const struct ones_route *route)
{
	return route->get != NULL || route->post != NULL || route->put != NULL || route->patch != NULL ||
	       route->delete != NULL;
}

static const char *session_problem(const struct ones_route *route)
{
	if (route->quick && route->needs != ONES_NEEDS_SESSION)
		return "it is quick, and has no session, or keeps data with it";
	if ((route->signed_in || route->fresh || route->admins_only) && !route_has_session(route))
		return "it is for those who are signed in, and .needs says that no session is looked up";
	return NULL;
}

static const char *caller_problem(const struct ones_route *route)
{
	if (route->scope != NULL && route->scope[0] != '\0' && !api_scope_is_known(route->scope))
		return ".scope is none that tokens of the API have";
	if (route->scope != NULL && route->scope[0] != '\0' && route->needs == ONES_NEEDS_NOTHING)
		return "it is for programs with a token, and .needs says that there is no database";
	if (route->scope != NULL && route->key_field == NULL && route_has_session(route))
		return "it is for programs, which have no session, and .needs says that one is looked up";
	if (route->key_field != NULL && (route->scope == NULL || route->scope[0] == '\0' || route->get != NULL))
		return "it has .key_field, and no .scope, or a handler for GET, which has no body";
	return NULL;
}

static const char *body_problem(const struct ones_route *route)
{
	const unsigned int known = ONES_BODY_FORM | ONES_BODY_JSON | ONES_BODY_MULTIPART | ONES_BODY_RAW;
	const bool can_be_on_disk = (route->bodies & (ONES_BODY_MULTIPART | ONES_BODY_RAW)) != 0;

	if ((route->bodies & ~known) != 0)
		return ".bodies has a flag that there is not";
	if (route->no_body && (route->bodies != 0 || route->max_body != 0))
		return "its body is not read (.no_body), and .bodies or .max_body says of what kind it is";
	if (route->max_body < 0 || route->max_body > (can_be_on_disk ? ROUTE_FILES_MAX : ROUTE_BODY_MAX))
		return can_be_on_disk ? ".max_body is not from 0 to 1 TiB"
		                      : ".max_body is not from 0 to 16 MiB, and nothing else is stored on disk";
	if (route->timeout_ms != 0 &&
	    (route->timeout_ms < ROUTE_TIMEOUT_MIN_MS || route->timeout_ms > ROUTE_TIMEOUT_MAX_MS))
		return ".timeout_ms is not from 100 to 600000 (ten minutes)";
	return NULL;
}

static const char *purpose_problem(const struct ones_route *route, const struct route_pattern *pattern)
{
	if (route->purpose == ONES_PURPOSE_NONE)
		return NULL;
	if ((unsigned int)route->purpose > ONES_PURPOSE_HOME)
		return ".purpose is none that there is";
	if (route_handler(route, ONES_METHOD_GET) == NULL)
		return "it has a .purpose, and no handler for GET";
	for (size_t i = 0; i < pattern->count; i++) {
		if (pattern->segments[i].is_part)
			return "it has a .purpose, and parts in its path";
	}
	return NULL;
}

/* What is wrong with the route by itself; NULL: nothing. */
static const char *problem_of(const struct ones_route *route, struct route_pattern *pattern)
{
	const char *problem = NULL;

	if (route->path == NULL || route->path[0] != '/')
		problem = "it is a route without a path that begins with a slash";
	else if (route->any == NULL && !has_handler_for_method(route))
		problem = "it is without a handler";
	else if (route->any != NULL && has_handler_for_method(route))
		problem = "it has .any, which stands in place of the other handlers, and one of these";
	if (problem == NULL)
		problem = session_problem(route);
	if (problem == NULL)
		problem = caller_problem(route);
	if (problem == NULL)
		problem = body_problem(route);
	if (problem == NULL)
		problem = route_pattern_read(pattern, route->path);
	return problem != NULL ? problem : purpose_problem(route, pattern);
}

static void refuse(struct ones_app *app, const struct ones_route *route, const char *problem, const char *other)
{
	const char *path = route->path != NULL ? route->path : "";

	module_refuse(app, other != NULL ? talloc_asprintf(app, "route %s: %s %s", path, problem, other)
	                                 : talloc_asprintf(app, "route %s: %s", path, problem));
}

/* False when out of memory. */
static bool add(struct ones_app *app, const struct ones_route *route, const struct route_pattern *pattern)
{
	struct route *routes = talloc_realloc(app, app->routes, struct route, (unsigned int)app->route_count + 1);

	if (routes == NULL)
		return false;
	app->routes = routes;
	routes[app->route_count++] = (struct route){
		.declared = *route,
		.module = app->current,
		.pattern = *pattern,
		.number = route_names_claim(&app->board->routes, app->current->name, route->path),
	};
	return true;
}

static bool have_a_method_in_common(const struct ones_route *first, const struct ones_route *second)
{
	for (int method = 0; method < ONES_METHOD_COUNT; method++) {
		if (route_handler(first, (enum ones_method)method) != NULL &&
		    route_handler(second, (enum ones_method)method) != NULL)
			return true;
	}
	return false;
}

void ones_route(struct ones_app *app, const struct ones_route *route)
{
	struct route_pattern pattern;
	const char *problem = problem_of(route, &pattern);

	if (problem == NULL && app->route_count == COUNTERS_ROUTES_MAX)
		problem = "there are 512 routes already";
	if (problem != NULL) {
		refuse(app, route, problem, NULL);
		return;
	}
	for (size_t i = 0; i < app->route_count; i++) {
		const struct route *other = &app->routes[i];

		if (other->module != app->current)
			continue;
		if (route_pattern_is_same(&pattern, &other->pattern) &&
		    have_a_method_in_common(route, &other->declared)) {
			refuse(app, route, "it serves the same paths, and a method of them, as the route",
			       other->declared.path);
			return;
		}
		if (route->purpose != ONES_PURPOSE_NONE && route->purpose == other->declared.purpose) {
			refuse(app, route, "it has the same .purpose as the route", other->declared.path);
			return;
		}
	}
	if (!add(app, route, &pattern))
		refuse(app, route, "out of memory", NULL);
}

/* ---- Finding one -------------------------------------------------------------------------------------------- */

/* Is `route` for the request rather than `best`, which fits its path, too? */
static bool is_better(const struct route *route, const struct route *best, enum ones_method method)
{
	int difference = route_pattern_compare(&route->pattern, &best->pattern);

	return difference < 0 || (difference == 0 && route_handler(&route->declared, method) != NULL);
}

static const struct route *find_in(const struct ones_app *app, const struct module *module, const char *below,
                                   enum ones_method method, struct route_parts *parts)
{
	const struct route *best = NULL;

	for (size_t i = 0; i < app->route_count; i++) {
		const struct route *route = &app->routes[i];
		struct route_parts found;

		if (route->module != module || !route_pattern_fits(&route->pattern, below, &found) ||
		    (best != NULL && !is_better(route, best, method)))
			continue;
		best = route;
		*parts = found;
		/* One without parts is before all others. */
		if (found.count == 0 && route_handler(&route->declared, method) != NULL)
			break;
	}
	return best;
}

const struct route *routes_find(const struct ones_app *app, const char *path, enum ones_method method,
                                struct route_parts *parts)
{
	const char *below;
	const struct module *module = module_of_path(app, path, &below);

	parts->count = 0;
	return module != NULL ? find_in(app, module, below, method, parts) : NULL;
}

const struct route *routes_for(const struct ones_app *app, enum ones_purpose purpose)
{
	for (size_t i = app->route_count; i-- > 0;) {
		if (app->routes[i].declared.purpose == purpose)
			return &app->routes[i];
	}
	return NULL;
}

/* ---- What a route says of itself ---------------------------------------------------------------------------- */

uint32_t route_number(const struct route *route)
{
	return route != NULL ? route->number : COUNTERS_NO_ROUTE;
}

ones_handler *route_handler(const struct ones_route *route, enum ones_method method)
{
	if (route->any != NULL)
		return route->any;
	switch (method) {
	case ONES_METHOD_GET: return route->get;
	case ONES_METHOD_POST: return route->post;
	case ONES_METHOD_PUT: return route->put;
	case ONES_METHOD_PATCH: return route->patch;
	case ONES_METHOD_DELETE: return route->delete;
	default: return NULL;
	}
}

char *routes_allowed_methods(const struct ones_app *app, TALLOC_CTX *ctx, const struct route *route)
{
	static const char *const names[] = {
		[ONES_METHOD_GET] = "GET, HEAD, ", [ONES_METHOD_POST] = "POST, ",     [ONES_METHOD_PUT] = "PUT, ",
		[ONES_METHOD_PATCH] = "PATCH, ",   [ONES_METHOD_DELETE] = "DELETE, ",
	};
	bool is_taken[sizeof names / sizeof names[0]] = {false};
	char *all = talloc_strdup(ctx, "");

	for (size_t i = 0; i < app->route_count; i++) {
		const struct route *other = &app->routes[i];

		for (size_t method = 0; method < sizeof names / sizeof names[0]; method++)
			is_taken[method] |= other->module == route->module &&
			                    route_pattern_is_same(&other->pattern, &route->pattern) &&
			                    route_handler(&other->declared, (enum ones_method)method) != NULL;
	}
	for (size_t method = 0; all != NULL && method < sizeof names / sizeof names[0]; method++) {
		if (is_taken[method] && names[method] != NULL)
			all = talloc_strdup_append(all, names[method]);
	}
	if (all != NULL && all[0] != '\0')
		all[strlen(all) - 2] = '\0';
	return all;
}

bool route_is_foreign(const struct ones_app *app, const struct route *route)
{
	return !module_is_own(app, route->module);
}

bool route_has_session(const struct ones_route *route)
{
	return route->needs == ONES_NEEDS_SESSION || route->needs == ONES_NEEDS_SESSION_DATA;
}

unsigned int route_bodies(const struct ones_route *route)
{
	return route->bodies != 0 ? route->bodies : ONES_BODY_FORM | ONES_BODY_JSON;
}

size_t route_max_body(const struct ones_app *app, const struct ones_route *route)
{
	bool is_own = route != NULL && route->max_body != 0 && route->max_body <= ROUTE_BODY_MAX;

	return (size_t)(is_own ? route->max_body : app->settings->server.max_body);
}

bool route_takes_files(const struct ones_route *route)
{
	return (route->bodies & ONES_BODY_MULTIPART) != 0 || route->max_body > ROUTE_BODY_MAX;
}

bool route_streams(const struct ones_route *route, enum body_kind kind)
{
	kind = request_kind_among(kind, route_bodies(route));
	return kind == BODY_MULTIPART ||
	       (kind == BODY_OTHER && (route_bodies(route) & ONES_BODY_RAW) != 0 && route->max_body > ROUTE_BODY_MAX);
}

size_t routes_largest_body(const struct ones_app *app)
{
	size_t largest = route_max_body(app, NULL);

	for (size_t i = 0; i < app->route_count; i++) {
		size_t size = route_max_body(app, &app->routes[i].declared);

		if (size > largest)
			largest = size;
	}
	return largest;
}
