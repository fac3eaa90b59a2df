/* A helper process that connects to the database once, to see whether a configuration can be served. */
#ifndef POOL_PROBE_H
#define POOL_PROBE_H

#include "base/scoreboard.h"
#include "pool/generation.h"

#include <stdbool.h>
#include <sys/types.h>

enum probe_result {
	PROBE_OK = 0,
	PROBE_UNREACHABLE = 3,
	PROBE_WRONG_SCHEMA = 4, /* the daemon's own */
	PROBE_WRONG_TABLES = 5, /* those of a module: some of its migrations are not applied */
};

/* Start one, for a generation whose modules have been checked. As fork(2), logged. */
pid_t probe_start(const struct generation *generation, struct scoreboard *board);

/* What it has found, by the status of waitpid(2). */
enum probe_result probe_result(int status);

/*
 * Start one and wait for it. A database that cannot be reached may come back, but one of another schema, or in which
 * modules lack tables, is not served: returns false for that.
 */
bool probe_has_right_schema(const struct generation *generation, struct scoreboard *board);

#endif
