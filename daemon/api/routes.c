/* The table of routes: adding one, and finding the one that serves a path. */
#include "api/routes.h"

#include <string.h>

static int add(struct ones_app *app, const struct ones_route *route)
{
	struct route *routes = talloc_realloc(app, app->routes, struct route, (unsigned int)app->route_count + 1);

	if (routes == NULL)
		return -1;
	app->routes = routes;
	routes[app->route_count++] = (struct route){
		.declared = *route,
		.module = app->current,
		.number = route_names_claim(&app->board->routes, app->current->name, route->path),
	};
	return 0;
}

void ones_route(struct ones_app *app, const struct ones_route *route)
{
	if (app->route_count == COUNTERS_ROUTES_MAX) {
		app->setup_problem = "more than 512 routes";
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
		if (app->routes[i].module == app->current && strcmp(app->routes[i].declared.path, route->path) == 0) {
			app->setup_problem = "two routes with the same path";
			return;
		}
	}
	if (add(app, route) != 0)
		app->setup_problem = "out of memory for a route";
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

static const struct route *find_in(const struct ones_app *app, const struct module *module, const char *below,
                                   const char **part, size_t *size)
{
	for (size_t i = 0; i < app->route_count; i++) {
		const struct route *route = &app->routes[i];

		if (route->module == module && matches(route->declared.path, below, part, size))
			return route;
	}
	return NULL;
}

const struct route *routes_find(const struct ones_app *app, const char *path, const char **part, size_t *size)
{
	const char *below;
	const struct module *module = module_of_path(app, path, &below);

	return module != NULL ? find_in(app, module, below, part, size) : NULL;
}

const struct route *routes_guard(const struct ones_app *app)
{
	const char *part;
	size_t size;

	return find_in(app, app->modules[0], "/auth", &part, &size);
}

uint32_t route_number(const struct route *route)
{
	return route != NULL ? route->number : COUNTERS_NO_ROUTE;
}

ones_handler *route_handler(const struct route *route, enum ones_method method)
{
	if (route->declared.any != NULL)
		return route->declared.any;
	if (method == ONES_METHOD_GET)
		return route->declared.get;
	return method == ONES_METHOD_POST ? route->declared.post : NULL;
}

const char *route_allowed_methods(const struct route *route)
{
	if (route->declared.post == NULL)
		return "GET, HEAD";
	return route->declared.get == NULL ? "POST" : "GET, HEAD, POST";
}

bool route_has_session(const struct route *route)
{
	return route->declared.needs == ONES_NEEDS_SESSION || route->declared.needs == ONES_NEEDS_SESSION_DATA;
}
