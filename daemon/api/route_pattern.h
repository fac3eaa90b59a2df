/* The paths of routes: reading one that was declared, and comparing. */
#ifndef API_ROUTE_PATTERN_H
#define API_ROUTE_PATTERN_H

#include "api/routes.h"

/* Read a route's path. Returns NULL, or what is wrong with it; *pattern points into `path`. */
const char *route_pattern_read(struct route_pattern *pattern, const char *path);

/* Does it fit `path`? *parts are what stands for its parts, and point into both. */
bool route_pattern_fits(const struct route_pattern *pattern, const char *path, struct route_parts *parts);

/*
 * Of two that fit the same path: less than 0 when the first comes before, for it has a literal where the other has a
 * part, more than 0 when the second does; 0 when they fit the same paths.
 */
int route_pattern_compare(const struct route_pattern *first, const struct route_pattern *second);

/* Do both fit all paths that one of them fits? */
bool route_pattern_is_same(const struct route_pattern *first, const struct route_pattern *second);

#endif
