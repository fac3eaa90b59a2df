/*
 * The processes that serve: for each generation of the configuration its workers, a fallback worker while all of them
 * are busy, and the process that runs its jobs; and one hasher. Each has an entry here and a slot of the same number in
 * the process table, of which nothing is believed that would do harm if it were false. Only the master calls this. What
 * becomes of a child once it runs is in supervision.h.
 */
#ifndef POOL_CHILDREN_H
#define POOL_CHILDREN_H

#include "base/problem.h"
#include "pool/generation.h"
#include "pool/listeners.h"

#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>

struct children;

/* Without any child yet, on `ctx`. NULL with *problem. */
struct children *children_new(TALLOC_CTX *ctx, struct scoreboard *board, const struct listeners *listeners,
                              struct problem *problem);

/* True when there are entries left for as many workers as a configuration may ask for. */
bool children_have_room(const struct children *children);

/* Give a generation its workers' entries; children_start_missing() starts them. */
void children_spawn_workers(struct children *children, const struct generation *generation);

/* Likewise the process that runs its jobs (see jobs.h), once its workers are up. */
void children_spawn_jobs(struct children *children, const struct generation *generation);

/* Likewise the hasher (see hasher_run()), for as long as the daemon runs. */
void children_spawn_hasher(struct children *children, const struct settings *settings);

/*
 * Start a fallback worker (fallback.h) when every worker is busy and there is none yet. It ends by itself when it is
 * not needed any more.
 */
void children_spawn_fallback(struct children *children, const struct generation *generation);

/* Start the workers, the hasher and the process for jobs that are missing; one that died young has to wait for its
 * back-off to pass. */
void children_start_missing(struct children *children);

/*
 * For a debugger: be a worker of the generation in this process, without restrictions, until TERM or QUIT. Returns its
 * exit status.
 */
int children_debug_worker(struct children *children, const struct generation *generation);

/* ---- Their number and state --------------------------------------------------------------------------------- */

/* WORKERS: with guard workers and the fallback worker. */
enum child_kinds { CHILDREN_ALL, CHILDREN_WORKERS, CHILDREN_GUARDS, CHILDREN_FALLBACK, CHILDREN_JOBS };

/* How many of them run, of a generation (NULL: of all). */
size_t children_count(const struct children *children, const struct generation *generation, enum child_kinds kinds);

/* Since the start: workers that ended without being signalled to, and of them those killed for an overdue request. */
size_t children_deaths(const struct children *children);
size_t children_timeouts(const struct children *children);

/*
 * True when all of a generation are ready to serve: they have connected to the database, or tried to while at least one
 * of them is connected or no worker of another generation is.
 */
bool children_are_up(const struct children *children, const struct generation *generation);

/* True when one of a generation has ended without being signalled to. */
bool children_have_failed(const struct children *children, const struct generation *generation);

#endif
