/* The table of routes: adding one, and finding the one that serves a path. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/module.h"
#include "http/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* As many segments as a route's path has at most, and as many of them as can be parts. */
#define ROUTE_SEGMENTS_MAX 16
#define ROUTE_PARTS_MAX    8

/* The largest body that is kept in memory, and on disk, and the longest time for a request, that a route can ask for.
 */
#define ROUTE_BODY_MAX       ((int64_t)16 * 1024 * 1024)
#define ROUTE_FILES_MAX      ((int64_t)1024 * 1024 * 1024 * 1024)
#define ROUTE_TIMEOUT_MIN_MS 100
#define ROUTE_TIMEOUT_MAX_MS ((int64_t)10 * 60 * 1000)

/* What stands between two slashes of a route's path. */
struct route_segment {
	const char *text; /* of a part: its name */
	size_t length;
	bool is_part;
};

struct route_pattern {
	size_t count;
	struct route_segment segments[ROUTE_SEGMENTS_MAX];
};

struct route {
	struct ones_route declared;
	struct module *module;
	struct route_pattern pattern;
	uint32_t number; /* for the counters: see base/route_names.h */
};

/* What stands for a part in a request's path; neither ends with a NUL. */
struct route_part {
	const char *name;
	size_t name_length;
	const char *value;
	size_t value_length;
};

struct route_parts {
	size_t count;
	struct route_part all[ROUTE_PARTS_MAX];
};

/*
 * The route that serves `path`: of the module with the longest prefix that the path is below; of several with the same
 * paths the one that takes `method`, where one does. NULL when there is none. *parts point into `path` and the route.
 */
const struct route *routes_find(const struct ones_app *app, const char *path, enum ones_method method,
                                struct route_parts *parts);

/* The route of that purpose that was added last; NULL when there is none. */
const struct route *routes_for(const struct ones_app *app, enum ones_purpose purpose);

/* The number of a route for the counters; that of NULL is COUNTERS_NO_ROUTE. */
uint32_t route_number(const struct route *route);

/* Is it of another module than the daemon's own? How long such a handler takes is not known. */
bool route_is_foreign(const struct ones_app *app, const struct route *route);

/* NULL when the route does not take that method. */
ones_handler *route_handler(const struct ones_route *route, enum ones_method method);

/* The value of Allow (RFC 9110, 10.2.1) at the paths of a route without .any, on `ctx`; NULL when out of memory. */
char *routes_allowed_methods(const struct ones_app *app, TALLOC_CTX *ctx, const struct route *route);

/* Is the session looked up before its handler runs? */
bool route_has_session(const struct ones_route *route);

/* The flags of the bodies that it takes, and the bytes of the largest one that is kept in memory. */
unsigned int route_bodies(const struct ones_route *route);
size_t route_max_body(const struct ones_app *app, const struct ones_route *route);

/* Does it take bodies that are streamed to disk, and is one of that kind? */
bool route_takes_files(const struct ones_route *route);
bool route_streams(const struct ones_route *route, enum body_kind kind);

/* The bytes of the largest body that any route takes. */
size_t routes_largest_body(const struct ones_app *app);

#endif
