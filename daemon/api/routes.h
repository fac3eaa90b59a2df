/* The table of routes: adding one, and finding the one that serves a path. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/app.h"

#include <stdbool.h>
#include <stddef.h>

/* What is below server.prefix in `path`; NULL when the path is not below it. */
const char *routes_below_prefix(const struct ones_app *app, const char *path);

/*
 * The route that serves what is below the prefix, NULL when there is none. *part and *size are what stands for the * of
 * its pattern; *size is 0 without one.
 */
const struct ones_route *routes_find(const struct ones_app *app, const char *below, const char **part, size_t *size);

/* The number of a route for the counters; that of NULL is COUNTERS_NO_ROUTE. */
uint32_t routes_number(const struct ones_app *app, const struct ones_route *route);

/*
 * Routes that are added from now on are another module's than the daemon's own. Until the daemon loads modules: a test
 * calls it.
 */
void routes_add_foreign(struct ones_app *app);

/* Is it another module's than the daemon's own? Nothing is known of how long such a handler takes. */
bool route_is_foreign(const struct ones_app *app, const struct ones_route *route);

/* Are there any of these? */
bool routes_have_foreign(const struct ones_app *app);

/* NULL when the route does not take that method. */
ones_handler *route_handler(const struct ones_route *route, enum ones_method method);

/* The value of Allow (RFC 9110, 10.2.1). */
const char *route_allowed_methods(const struct ones_route *route);

/* Is the session looked up before its handler runs? */
bool route_has_session(const struct ones_route *route);

#endif
