/* The table of routes: adding one, and finding the one that serves a path. */
#include "api/routes.h"

#include "api/route_pattern.h"

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
	if ((route->signed_in || route->admins_only) && !route_has_session(route))
		return "it is for those who are signed in, and .needs says that no session is looked up";
	return NULL;
}

static const char *body_problem(const struct ones_route *route)
{
	const unsigned int known = ONES_BODY_FORM | ONES_BODY_JSON | ONES_BODY_RAW;

	if ((route->bodies & ONES_BODY_MULTIPART) != 0)
		return "ONES_BODY_MULTIPART is not there yet";
	if ((route->bodies & ~known) != 0)
		return ".bodies has a flag that there is not";
	if (route->no_body && (route->bodies != 0 || route->max_body != 0))
		return "its body is not read (.no_body), and .bodies or .max_body says of what kind it is";
	if (route->max_body < 0 || route->max_body > ROUTE_BODY_MAX)
		return ".max_body is not from 0 to 16 MiB";
	if (route->timeout_ms != 0 &&
	    (route->timeout_ms < ROUTE_TIMEOUT_MIN_MS || route->timeout_ms > ROUTE_TIMEOUT_MAX_MS))
		return ".timeout_ms is not from 100 to 600000 (ten minutes)";
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
		problem = body_problem(route);
	return problem != NULL ? problem : route_pattern_read(pattern, route->path);
}

static void refuse(struct ones_app *app, const struct ones_route *route, const char *problem, const char *other)
{
	const char *path = route->path != NULL ? route->path : "";
	char *sentence = other != NULL ? talloc_asprintf(app, "route %s: %s %s", path, problem, other)
	                               : talloc_asprintf(app, "route %s: %s", path, problem);

	app->setup_problem = sentence != NULL ? sentence : "out of memory for a route";
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

		if (other->module == app->current && route_pattern_is_same(&pattern, &other->pattern)) {
			refuse(app, route, "it serves the same paths as the route", other->declared.path);
			return;
		}
	}
	if (!add(app, route, &pattern))
		refuse(app, route, "out of memory", NULL);
}

/* ---- Finding one -------------------------------------------------------------------------------------------- */

static const struct route *find_in(const struct ones_app *app, const struct module *module, const char *below,
                                   struct route_parts *parts)
{
	const struct route *best = NULL;

	for (size_t i = 0; i < app->route_count; i++) {
		const struct route *route = &app->routes[i];
		struct route_parts found;

		if (route->module != module || !route_pattern_fits(&route->pattern, below, &found) ||
		    (best != NULL && route_pattern_compare(&best->pattern, &route->pattern) < 0))
			continue;
		best = route;
		*parts = found;
		/* One without parts is before all others. */
		if (found.count == 0)
			break;
	}
	return best;
}

const struct route *routes_find(const struct ones_app *app, const char *path, struct route_parts *parts)
{
	const char *below;
	const struct module *module = module_of_path(app, path, &below);

	parts->count = 0;
	return module != NULL ? find_in(app, module, below, parts) : NULL;
}

const struct route *routes_guard(const struct ones_app *app)
{
	struct route_parts parts;

	return find_in(app, app->modules[0], "/auth", &parts);
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

char *route_allowed_methods(TALLOC_CTX *ctx, const struct ones_route *route)
{
	char *all = talloc_asprintf(ctx, "%s%s%s%s%s", route->get != NULL ? "GET, HEAD, " : "",
	                            route->post != NULL ? "POST, " : "", route->put != NULL ? "PUT, " : "",
	                            route->patch != NULL ? "PATCH, " : "", route->delete != NULL ? "DELETE, " : "");

	if (all != NULL && all[0] != '\0')
		all[strlen(all) - 2] = '\0';
	return all;
}

bool route_is_foreign(const struct route *route)
{
	return route->module->index > 0;
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
	return (size_t)(route != NULL && route->max_body != 0 ? route->max_body : app->settings->server.max_body);
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
