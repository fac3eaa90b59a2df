/*
 * The names of routes, and of other things of modules, by their number, in shared memory: generations that have other
 * routes agree on which counters and which slots of the process table are whose. A name is added by the first process
 * that has the route, and stays.
 */
#ifndef BASE_ROUTE_NAMES_H
#define BASE_ROUTE_NAMES_H

#include "base/config_sections.h"
#include "base/counters.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a longer path the rest is left out. */
#define ROUTE_NAME_PATH_SIZE 128

/* Any process can write here: readers get copies that end, without control characters. */
struct route_name {
	_Atomic uint64_t hash; /* of module and path; 0: free */
	_Atomic uint8_t is_complete;
	_Atomic char module[MODULE_NAME_SIZE];
	_Atomic char path[ROUTE_NAME_PATH_SIZE];
};

struct route_names {
	struct route_name all[COUNTERS_ROUTES_MAX];
};

struct route_name_copy {
	char module[MODULE_NAME_SIZE];
	char path[ROUTE_NAME_PATH_SIZE];
};

/* The number of a name among `count` of them, which is made when there is none; `count` when there is no room for it.
 */
uint32_t names_claim(struct route_name names[], uint32_t count, const char *module, const char *path);

/* Its number may be another name's from now on. */
void name_free(struct route_name *name);

/* The number of the route, which is made when there is none; COUNTERS_NO_ROUTE when there is no room for it. */
uint32_t route_names_claim(struct route_names *names, const char *module, const char *path);

/* The names of a number. False, with empty names, when it is none of a route. */
bool route_names_get(const struct route_names *names, uint64_t number, struct route_name_copy *copy);

#endif
