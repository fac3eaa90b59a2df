/* A run of a job, as the process does it that was forked for it: the claim, the run, and what is recorded of it. */
#ifndef POOL_JOB_TASK_H
#define POOL_JOB_TASK_H

#include "api/jobs.h"
#include "session/job_claims.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a claim has beyond the time of the run, and how much of that its own answer may have taken. */
#define JOB_GRACE_MS       INT64_C(15000)
#define JOB_CLAIM_SLACK_MS INT64_C(5000)

struct job_task {
	struct ones_app *app;
	const struct job *job;
	struct job_run run;
	enum job_result settle; /* nothing is run: only that is recorded of a run that has ended; NONE: it is run */
};

/* What came of the process. */
enum job_end {
	JOB_END_NONE,        /* it was ended, or the job has ended it: what would have been told then was not */
	JOB_END_NOT_DUE,     /* as the slot's next_ms says by now */
	JOB_END_ELSEWHERE,   /* another host runs it, or has it until then */
	JOB_END_NO_DATABASE, /* nothing was run, or recorded */
	JOB_END_REFUSED,     /* likewise, and no other job has to do with the reason, which is logged */
	JOB_END_SETTLED,     /* it is recorded */
	JOB_END_RAN,         /* its function has returned */
};

/* Not told by the exit status, which is any job's to choose that calls exit(3). */
struct job_outcome {
	enum job_end end;
	enum ones_result result; /* RAN: what was returned... */
	bool is_recorded;        /* ...and whether the database has it. Never for .on_every_host */
};

/*
 * So many, which processes that are forked from now on share with this one, for as long as it lives. NULL: out of
 * memory.
 */
struct job_outcome *job_outcomes_new(size_t count);

/* What whoever has taken the job's slot has to do: a run, or the record of one that a former owner has left. */
struct job_task job_task_for_owner(struct ones_app *app, const struct job *job);

/* Do it. */
struct job_outcome job_task_run(const struct job_task *task);

/*
 * For onesessiond --run-job: do it at once, whenever it is due, and print what came of it. Returns the exit status of
 * the program.
 */
int job_task_run_now(struct ones_app *app, const char *full_name);

#endif
