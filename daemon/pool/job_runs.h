/* When each job is due, which of them run, and what has become of their runs. */
#ifndef POOL_JOB_RUNS_H
#define POOL_JOB_RUNS_H

#include "base/problem.h"
#include "pool/job_task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A job, and its run if there is one. Times are of clock_monotonic_ms(). */
struct job_state {
	struct job_task task;
	struct job_outcome *outcome; /* written by the process of its run, in memory that they share */
	pid_t pid;                   /* of the process of its run; 0: none */
	int64_t due_ms;    /* when it is to be run, or looked for in the database, or its last run to be settled */
	int64_t forked_ms; /* of the process */
	int64_t kill_ms;   /* the process was told to abort, and is killed then; 0: it was not */
	bool is_killed;
	enum job_result killed_as; /* OVERDUE or STOPPED; NONE: it was not */
};

struct job_runs {
	struct ones_app *app;
	struct job_state *all;
	size_t count;
	size_t running;
	size_t running_of_modules; /* of these: JOBS_AT_ONCE at the most */
	bool is_stopping;
	int64_t stop_ms;           /* what still runs is killed then */
	int64_t database_again_ms; /* it was away: nothing is tried before */
	int64_t database_pause_ms; /* 0: it is there */
};

/* Those of the application. Returns 0, or -1 with *problem. */
int job_runs_init(struct job_runs *runs, struct ones_app *app, struct problem *problem);

/* Begin what is due, if it may be. */
void job_runs_start_due(struct job_runs *runs);

/* A process has ended, with that status of waitpid(2). */
void job_runs_reap(struct job_runs *runs, pid_t pid, int status);

/* Kill what is past its deadline, or is not waited for any more. */
void job_runs_end_overdue(struct job_runs *runs);

/* Begin none any more, and have those that run finish within server.shutdown_timeout. */
void job_runs_stop(struct job_runs *runs);

/* Stopping, and none runs. */
bool job_runs_are_over(const struct job_runs *runs);

/* Until something is to be done without a signal, as poll(2) wants it. */
int job_runs_wait_ms(const struct job_runs *runs);

#endif
