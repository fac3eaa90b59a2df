/*
 * The process that runs jobs, `ones-jobs`: it knows when each is due, has a process forked for each run, and sees to
 * the deadlines. It holds no database connection, and once it is restricted no code of a module runs in it.
 */
#ifndef POOL_JOBS_H
#define POOL_JOBS_H

#include "base/scoreboard.h"
#include "pool/generation.h"

#include <stddef.h>

/* As many runs of modules' jobs at the same time; the daemon's own are not counted among them. */
#define JOBS_AT_ONCE 4

struct jobs_setup {
	const struct generation *generation;
	struct scoreboard *board;
	size_t slot; /* of this process, in the process table */
};

/* In the child's own process: run jobs until TERM. Returns its exit status. */
int jobs_run(const struct jobs_setup *setup);

/* For onesessiond --run-job: run that one in this process, now. Returns the exit status of the program. */
int jobs_run_one(const struct generation *generation, const char *full_name);

#endif
