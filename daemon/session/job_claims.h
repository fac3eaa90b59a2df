/*
 * Which host runs a job: a row of the table `jobs`, by the database's clock. A claim is a lease: once it has run out,
 * its host is taken for lost, and another one runs the job.
 */
#ifndef SESSION_JOB_CLAIMS_H
#define SESSION_JOB_CLAIMS_H

#include "session/db.h"

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>

/* The longest pause after failures, unless the job's own is longer. */
#define JOB_PAUSE_MAX_MS (INT64_C(3600) * 1000)

/* The size of a run's name with the NUL at its end. */
#define JOB_RUN_SIZE 33

/* A run of a job, and what is to hold for it. */
struct job_run {
	const char *name; /* "MODULE.JOB" */
	int64_t every_ms;
	int64_t first_ms;       /* the pause before its first run ever */
	int64_t lease_ms;       /* how long nobody else may run it */
	bool is_forced;         /* it need not be due */
	uint64_t number[2];     /* which run it is: random */
	char run[JOB_RUN_SIZE]; /* the same, for the database */
	char host[65];
};

/* Give it a number of its own. */
void job_run_number(struct job_run *run);

/* Give it the name that its number has, and that of this host. */
void job_run_name(struct job_run *run);

struct job_claim {
	bool is_taken;
	bool is_running;       /* by another run */
	int64_t wait_ms;       /* until it can be claimed, when it was not taken */
	const char *lost_host; /* whose run was not heard of any more, "" for none. On `ctx` */
};

enum db_status job_claim(struct db *db, TALLOC_CTX *ctx, const struct job_run *run, struct job_claim *claim);

/*
 * It has ended: `result` is one of job_result_name(). *wait_ms, how long until it is due again, is left as it was when
 * the run has lost its claim meanwhile.
 */
enum db_status job_finish(struct db *db, const struct job_run *run, const char *result, int64_t *wait_ms);

/* It goes on: nobody else may run it for .lease_ms from now on, if it has its claim still. */
enum db_status job_keep(struct db *db, const struct job_run *run);

#endif
