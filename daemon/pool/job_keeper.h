/*
 * For onesessiond --run-job: a child that keeps the claim of the run in this process for as long as that takes, also
 * while a debugger has stopped it, and that records how it ended if it has left no record itself.
 */
#ifndef POOL_JOB_KEEPER_H
#define POOL_JOB_KEEPER_H

#include "base/job_table.h"
#include "base/settings.h"
#include "session/job_claims.h"

/*
 * The run has been claimed, and is about to begin. From then on INT, TERM, HUP and QUIT have it recorded as stopped
 * before they end this process. Returns 0, or -1: there is no such child, which is logged.
 */
int job_keeper_start(const struct settings *settings, const struct job_run *run);

/* It is over: see that it is recorded, if job_keeper_start() was called. */
void job_keeper_end(enum job_result result);

#endif
