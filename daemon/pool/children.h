/*
 * The processes that serve: for each generation of the configuration its workers, an attendant while all of them are
 * busy, and one hasher. Each has a place here and a slot of the same number on the scoreboard, on which nothing is
 * believed that would not be harmless if it were false. Only the master calls this.
 */
#ifndef POOL_CHILDREN_H
#define POOL_CHILDREN_H

#include "pool/generation.h"
#include "pool/listeners.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <talloc.h>

struct children;

/* An empty one, on `ctx`. NULL with errno. */
struct children *children_new(TALLOC_CTX *ctx, struct scoreboard *board, const struct listeners *listeners);

/* True when there are places for as many workers as a configuration may ask for. */
bool children_have_room(const struct children *children);

/* Give a generation its places; children_start_missing() fills them. */
void children_spawn_workers(struct children *children, const struct generation *generation);

/* Have a hasher (see hasher_run()), for as long as the daemon runs. */
void children_spawn_hasher(struct children *children, const struct settings *settings);

/*
 * Have an attendant (see worker_run()) when every worker is busy and there is none yet. It goes by itself when it is
 * not needed any more.
 */
void children_spawn_fallback(struct children *children, const struct generation *generation);

/* Start whoever is missing, unless a place has to wait because who was there died young. */
void children_start_missing(struct children *children);

/*
 * A worker that has answered server.max_requests is told to go when another one has come up in its stead.
 */
void children_recycle(struct children *children);

/* Put right on the scoreboard what only the master may write there, and release the permits of those that died. */
void children_repair_scoreboard(struct children *children);

/* A child has ended. Returns false when it was none of the children. */
bool children_reap(struct children *children, pid_t pid, int status);

/* Kill whose request is past its deadline, and who was told to go and has not. */
void children_kill_overdue(struct children *children);

enum child_kinds { CHILDREN_ALL, CHILDREN_WORKERS, CHILDREN_FALLBACK };

/*
 * Tell those of a generation (NULL: of all) to finish what they have and go; they are not replaced. Who has not gone
 * at `deadline` (clock_monotonic_ms()) is killed, and that is told.
 */
void children_retire(struct children *children, const struct generation *generation, enum child_kinds who,
                     int64_t deadline);

/* Kill everybody. */
void children_kill(struct children *children);

/* Send a signal to everybody. */
void children_signal(const struct children *children, int signal);

/* How many there still are, of a generation (NULL: of all). */
size_t children_count(const struct children *children, const struct generation *generation, enum child_kinds who);

/* Since the start: workers that ended other than by being told to, and of them those killed for an overdue request. */
size_t children_deaths(const struct children *children);
size_t children_timeouts(const struct children *children);

/*
 * True when all of a generation are ready to serve: they have connected to the database, or tried to while at least one
 * of them is connected or nobody of another generation is.
 */
bool children_are_up(const struct children *children, const struct generation *generation);

/* True when one of a generation has ended other than by being told to. */
bool children_have_failed(const struct children *children, const struct generation *generation);

/*
 * Fork a child that does not outlive this process, and whose signals are as usual again. As fork(2), logged. Whoever
 * looks at the processes is not to take it for a worker: it has a name of its own, of 15 bytes at the most.
 */
pid_t fork_helper(const char *name);

/* The signals that the master takes one by one; everybody here begins with them blocked. */
extern const int master_signals[];
extern const size_t master_signal_count;

#endif
