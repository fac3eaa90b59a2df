/* The table of routes: adding one, and finding the one that serves a path. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/module.h"

#include <stdbool.h>
#include <stddef.h>

struct route {
	struct ones_route declared;
	struct module *module;
	uint32_t number; /* for the counters: see base/route_names.h */
};

/*
 * The route that serves `path`: of the module with the longest prefix that the path is below. NULL when there is none.
 * *part and *size are what stands for the * of its pattern; *size is 0 without one.
 */
const struct route *routes_find(const struct ones_app *app, const char *path, const char **part, size_t *size);

/* The route that is asked in the role of an authorizer; NULL when there is none. */
const struct route *routes_guard(const struct ones_app *app);

/* The number of a route for the counters; that of NULL is COUNTERS_NO_ROUTE. */
uint32_t route_number(const struct route *route);

/* NULL when the route does not take that method. */
ones_handler *route_handler(const struct route *route, enum ones_method method);

/* The value of Allow (RFC 9110, 10.2.1). */
const char *route_allowed_methods(const struct route *route);

/* Is the session looked up before its handler runs? */
bool route_has_session(const struct route *route);

#endif
