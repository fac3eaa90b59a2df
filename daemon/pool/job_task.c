/* A run of a job, as the process does it that was forked for it. */
#include "pool/job_task.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/job_keeper.h"
#include "session/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

/* A run, with a number of its own. */
static struct job_task new_task(struct ones_app *app, const struct job *job)
{
	struct job_task task = {
		.app = app,
		.job = job,
		.run = {.name = job->full_name,
	                .every_ms = job->declared.every_ms,
	                .first_ms = job->is_own ? 0 : job->first_ms,
	                .lease_ms = job->timeout_ms + JOB_GRACE_MS},
	};

	job_run_number(&task.run);
	job_run_name(&task.run);
	return task;
}

struct job_task job_task_for_owner(struct ones_app *app, const struct job *job)
{
	struct job_task task = new_task(app, job);

	atomic_store(&job->shown->is_running, false);
	if (job->declared.on_every_host)
		return task;
	/* A process that ran jobs has died, and its runs with it: for the database that one goes on. */
	if (job_slot_has_claim(job->shown, task.run.number)) {
		job_run_name(&task.run);
		task.settle = JOB_RESULT_STOPPED;
	} else {
		job_slot_note_claim(job->shown, task.run.number);
	}
	return task;
}

struct job_outcome *job_outcomes_new(size_t count)
{
	/* It wants a byte at least. */
	void *outcomes = mmap(NULL, (count + 1) * sizeof(struct job_outcome), PROT_READ | PROT_WRITE,
	                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return outcomes != MAP_FAILED ? outcomes : NULL;
}

/* Its claim is answered with statements of its own, whatever time the job has. */
static struct db *new_database(TALLOC_CTX *ctx, const struct job_task *task)
{
	const struct settings *settings = task->app->settings;
	int64_t timeout = settings->database.statement_timeout;
	char *name = talloc_asprintf(ctx, "onesessiond job %s", task->job->full_name);

	/* One that ends itself has to see in time that it is to. */
	if (timeout < task->job->timeout_ms && !task->job->ends_itself)
		timeout = task->job->timeout_ms;
	return name != NULL ? app_new_job_database(ctx, settings, name, timeout) : NULL;
}

static void note_wait(const struct job_task *task, int64_t wait_ms)
{
	atomic_store(&task->job->shown->next_ms, clock_monotonic_ms() + wait_ms);
}

/* Why nothing came of a statement. */
static enum job_end end_without(enum db_status status)
{
	return status == DB_UNAVAILABLE ? JOB_END_NO_DATABASE : JOB_END_REFUSED;
}

/* Returns JOB_END_RAN, or why it is not run. */
static enum job_end claim(const struct job_task *task, struct db *db, TALLOC_CTX *ctx)
{
	int64_t began = clock_monotonic_ms();
	int64_t wait_ms = 0;
	struct job_claim claim;
	enum db_status status = db_connect(db);

	if (status == DB_OK)
		status = job_claim(db, ctx, &task->run, &claim);
	if (status != DB_OK) {
		LOG_AT(task->run.is_forced || status != DB_UNAVAILABLE ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG,
		       "job_not_claimed", LOG_STR("name", task->run.name), LOG_STR("problem", db_problem(db)));
		return end_without(status);
	}
	if (!claim.is_taken) {
		note_wait(task, claim.wait_ms);
		return claim.is_running ? JOB_END_ELSEWHERE : JOB_END_NOT_DUE;
	}
	/* It could be run for longer than it is claimed. */
	if (clock_monotonic_ms() - began > JOB_CLAIM_SLACK_MS) {
		(void)job_finish(db, &task->run, job_result_name(JOB_RESULT_STOPPED), &wait_ms);
		return JOB_END_NO_DATABASE;
	}
	if (claim.lost_host[0] != '\0')
		log_warning("job_taken_over", LOG_STR("module", task->job->module->name),
		            LOG_STR("job", task->job->declared.name), LOG_STR("lost_host", claim.lost_host));
	return JOB_END_RAN;
}

static struct job_outcome run_and_record(const struct job_task *task, struct db *db, TALLOC_CTX *ctx)
{
	const struct job *job = task->job;
	int64_t now = clock_monotonic_ms();
	struct job_outcome outcome = {.end = JOB_END_RAN};
	enum job_result result;
	int64_t wait_ms = 0;

	atomic_store(&job->shown->began_ms, now);
	atomic_store(&job->shown->is_running, true);
	outcome.result = job_run_here(task->app, job, db, ctx, now + job->timeout_ms);
	result = outcome.result == ONES_RESULT_OK ? JOB_RESULT_OK : JOB_RESULT_FAILED;
	if (job->declared.on_every_host || job_finish(db, &task->run, job_result_name(result), &wait_ms) != DB_OK)
		return outcome;
	note_wait(task, wait_ms);
	outcome.is_recorded = true;
	return outcome;
}

static enum job_end settle(const struct job_task *task, struct db *db)
{
	int64_t wait_ms = 0;
	enum db_status status = db_connect(db);

	if (status == DB_OK)
		status = job_finish(db, &task->run, job_result_name(task->settle), &wait_ms);
	if (status != DB_OK)
		return end_without(status);
	note_wait(task, wait_ms);
	return JOB_END_SETTLED;
}

/* A debugger may hold it up for as long as it likes. Returns JOB_END_RAN, or why it is not run. */
static enum job_end keep(const struct job_task *task, struct db *db)
{
	int64_t wait_ms = 0;

	if (job_keeper_start(task->app->settings, &task->run) == 0)
		return JOB_END_RAN;
	(void)job_finish(db, &task->run, job_result_name(JOB_RESULT_STOPPED), &wait_ms);
	return JOB_END_REFUSED;
}

struct job_outcome job_task_run(const struct job_task *task)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	struct db *db = ctx != NULL ? new_database(ctx, task) : NULL;
	struct job_outcome outcome = {.end = JOB_END_RAN};

	if (db == NULL)
		outcome.end = JOB_END_REFUSED;
	else if (task->settle != JOB_RESULT_NONE)
		outcome.end = settle(task, db);
	else if (!task->job->declared.on_every_host)
		outcome.end = claim(task, db, ctx);
	if (outcome.end == JOB_END_RAN && task->run.is_forced && !task->job->declared.on_every_host)
		outcome.end = keep(task, db);
	if (outcome.end == JOB_END_RAN)
		outcome = run_and_record(task, db, ctx);
	talloc_free(ctx);
	return outcome;
}

/* ---- At once ------------------------------------------------------------------------------------------------- */

static int tell_unknown(const struct ones_app *app, const char *full_name)
{
	(void)fprintf(stderr, "onesessiond: there is no job %s; there are:", full_name);
	for (size_t i = 0; i < app->job_count; i++)
		(void)fprintf(stderr, " %s", app->jobs[i].full_name);
	(void)fputc('\n', stderr);
	return EX_USAGE;
}

/* At exit(3): by the job, if it runs still. */
static void fail_ended(void)
{
	const struct job_now *now = job_now();

	if (now->app == NULL)
		return;
	(void)fprintf(stderr, "onesessiond: %s has failed: it ended its process\n", now->db->purpose);
	job_keeper_end(JOB_RESULT_CRASHED);
	_exit(EXIT_FAILURE);
}

int job_task_run_now(struct ones_app *app, const char *full_name)
{
	const struct job *job = job_find(app, full_name);
	struct job_outcome outcome;
	struct job_task task;

	if (job == NULL)
		return tell_unknown(app, full_name);
	task = new_task(app, job);
	task.run.is_forced = true;
	(void)atexit(fail_ended);
	outcome = job_task_run(&task);
	job_keeper_end(outcome.result == ONES_RESULT_OK ? JOB_RESULT_OK : JOB_RESULT_FAILED);
	if (outcome.end != JOB_END_RAN) {
		bool is_claimed = outcome.end == JOB_END_ELSEWHERE || outcome.end == JOB_END_NOT_DUE;

		(void)fprintf(stderr, "onesessiond: %s was not run: %s\n", full_name,
		              is_claimed ? "it runs already, or a host that is lost still has it"
		                         : "it could not be claimed in the database");
		return EXIT_FAILURE;
	}
	if (outcome.result != ONES_RESULT_OK) {
		(void)fprintf(stderr, "onesessiond: %s has failed: %s\n", full_name, job_returned_text(outcome.result));
		return EXIT_FAILURE;
	}
	return printf("%s: ok\n", full_name) >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
