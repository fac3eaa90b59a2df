/* The table of routes: adding one, and finding the one that serves a path. */
#include "api/routes.h"

#include <string.h>

void ones_route(struct ones_app *app, const struct ones_route *route)
{
	if (app->route_count == COUNTERS_ROUTES_MAX) {
		app->setup_problem = "more than 64 routes";
		return;
	}
	if (route->path == NULL || route->path[0] != '/' ||
	    (route->get == NULL && route->post == NULL && route->any == NULL)) {
		app->setup_problem = "a route without a path that begins with a slash, or without a handler";
		return;
	}
	if (route->quick && route->needs != ONES_NEEDS_SESSION) {
		app->setup_problem = "a quick route that has no session, or keeps data with it";
		return;
	}
	for (size_t i = 0; i < app->route_count; i++) {
		if (strcmp(app->routes[i].path, route->path) == 0) {
			app->setup_problem = "two routes with the same path";
			return;
		}
	}
	app->foreign_routes[app->route_count] = app->is_adding_foreign;
	app->routes[app->route_count++] = *route;
}

void routes_add_foreign(struct ones_app *app)
{
	app->is_adding_foreign = true;
}

bool route_is_foreign(const struct ones_app *app, const struct ones_route *route)
{
	return app->foreign_routes[routes_number(app, route)];
}

bool routes_have_foreign(const struct ones_app *app)
{
	for (size_t i = 0; i < app->route_count; i++) {
		if (app->foreign_routes[i])
			return true;
	}
	return false;
}

/* Does a route with this pattern serve `path`? *part and *size are then what stands for its *. */
static bool matches(const char *pattern, const char *path, const char **part, size_t *size)
{
	size_t before = strcspn(pattern, "*");

	*part = path + before;
	*size = 0;
	if (pattern[before] == '\0')
		return strcmp(pattern, path) == 0;
	if (strncmp(pattern, path, before) != 0)
		return false;
	*size = strcspn(*part, "/");
	return *size > 0 && strcmp(pattern + before + 1, *part + *size) == 0;
}

const struct ones_route *routes_find(const struct ones_app *app, const char *below, const char **part, size_t *size)
{
	for (size_t i = 0; i < app->route_count; i++) {
		if (matches(app->routes[i].path, below, part, size))
			return &app->routes[i];
	}
	return NULL;
}

const char *routes_below_prefix(const struct ones_app *app, const char *path)
{
	const char *prefix = app->settings->server.prefix;
	size_t length = strlen(prefix);

	return strncmp(path, prefix, length) == 0 ? path + length : NULL;
}

uint32_t routes_number(const struct ones_app *app, const struct ones_route *route)
{
	return route != NULL ? (uint32_t)(route - app->routes) : COUNTERS_NO_ROUTE;
}

ones_handler *route_handler(const struct ones_route *route, enum ones_method method)
{
	if (route->any != NULL)
		return route->any;
	if (method == ONES_METHOD_GET)
		return route->get;
	return method == ONES_METHOD_POST ? route->post : NULL;
}

const char *route_allowed_methods(const struct ones_route *route)
{
	if (route->post == NULL)
		return "GET, HEAD";
	return route->get == NULL ? "POST" : "GET, HEAD, POST";
}

bool route_has_session(const struct ones_route *route)
{
	return route->needs == ONES_NEEDS_SESSION || route->needs == ONES_NEEDS_SESSION_DATA;
}
