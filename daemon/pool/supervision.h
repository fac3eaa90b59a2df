/* What becomes of the master's children once they run: their deadlines, their end, and what they leave behind. */
#ifndef POOL_SUPERVISION_H
#define POOL_SUPERVISION_H

#include "pool/children.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A child of the master's has ended. Returns false when it was none of these. */
bool children_reap(struct children *children, pid_t pid, int status);

/* Kill those whose request is past its deadline, and those that have been retired and are past theirs. */
void children_kill_overdue(struct children *children);

/* Retire each worker that has answered server.max_requests, once another one has come up in its stead. */
void children_recycle(struct children *children);

/*
 * Put right in the process table what only the master may write there, and release the accept permits of workers that
 * died.
 */
void children_repair_scoreboard(struct children *children);

/*
 * Have those of a generation (NULL: of all) finish what they have and end; they are not replaced. One that still runs
 * at `deadline` (clock_monotonic_ms()) is killed, and that is logged.
 */
void children_retire(struct children *children, const struct generation *generation, enum child_kinds kinds,
                     int64_t deadline);

/* Kill all of them. */
void children_kill(struct children *children);

/* Send all of them a signal. */
void children_signal(const struct children *children, int signal);

#endif
