/* When each job is due, which of them run, and what has become of their runs. */
#include "pool/job_runs.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/jobs.h"
#include "pool/sandbox.h"
#include "pool/spawn.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a run that is overdue may take to log where it is. */
#define ABORT_MS 1000
/* What another process of this host, or another host, is at is looked at no more often than so. */
#define LOOK_MS       INT64_C(250)
#define LOOK_AGAIN_MS INT64_C(1000)
/* A row of `jobs` that somebody has changed is seen within this time. */
#define LOOK_AT_LEAST_MS INT64_C(60000)
/* Pauses while there is no database. */
#define DATABASE_PAUSE_MIN_MS INT64_C(1000)
#define DATABASE_PAUSE_MAX_MS INT64_C(30000)
/* What connecting, and a statement, take beyond their time-outs. */
#define CLAIM_MORE_MS INT64_C(10000)
/* Of server.shutdown_timeout, for recording what was killed. */
#define STOP_RESERVE_MS INT64_C(2000)

static struct job_slot *shown(const struct job_state *state)
{
	return state->task.job->shown;
}

static int64_t at_most(int64_t number, int64_t limit)
{
	return number < limit ? number : limit;
}

static int64_t at_least(int64_t number, int64_t limit)
{
	return number > limit ? number : limit;
}

/* ---- When it is due ------------------------------------------------------------------------------------------ */

/* As the slot says, within what a job can have to wait; 0: that is not known. */
static int64_t next_ms(const struct job *job)
{
	return at_most(job_slot_next_ms(job->shown),
	               clock_monotonic_ms() + at_least(job->declared.every_ms, JOB_PAUSE_MAX_MS));
}

/*
 * When the jobs of modules are due the database is asked at once. The others have their times from the generation
 * before.
 */
static int64_t first_due_ms(const struct job *job)
{
	int64_t now = clock_monotonic_ms();
	int64_t next = next_ms(job);

	if (!job->declared.on_every_host && !job->is_own)
		return now;
	if (next == 0)
		return now + job->first_ms;
	return atomic_load(&job->shown->failed) > 0 ? next : at_most(next, now + job->declared.every_ms);
}

int job_runs_init(struct job_runs *runs, struct ones_app *app, struct problem *problem)
{
	struct job_outcome *outcomes = job_outcomes_new(app->job_count);

	*runs = (struct job_runs){.app = app, .count = app->job_count};
	runs->all = talloc_zero_array(app, struct job_state, (unsigned int)app->job_count);
	if (runs->all == NULL || outcomes == NULL)
		return problem_set(problem, "out of memory");
	for (size_t i = 0; i < runs->count; i++) {
		runs->all[i].task.job = &app->jobs[i];
		runs->all[i].outcome = &outcomes[i];
		runs->all[i].due_ms = first_due_ms(&app->jobs[i]);
		if (runs->all[i].due_ms > clock_monotonic_ms())
			atomic_store(&app->jobs[i].shown->next_ms, runs->all[i].due_ms);
	}
	return 0;
}

static bool needs_database(const struct job_state *state)
{
	return !state->task.job->declared.on_every_host;
}

/* The moment at which it can be begun. At the end there is one try. */
static int64_t ready_ms(const struct job_runs *runs, const struct job_state *state)
{
	return needs_database(state) && !runs->is_stopping ? at_least(state->due_ms, runs->database_again_ms)
	                                                   : state->due_ms;
}

/* The daemon's own wait for no module: what they are for, nobody else does. */
static bool has_room(const struct job_runs *runs, const struct job_state *state)
{
	return state->task.job->is_own || runs->running_of_modules < JOBS_AT_ONCE;
}

static bool may_begin(const struct job_runs *runs, const struct job_state *state)
{
	return state->pid == 0 && has_room(runs, state) &&
	       (!runs->is_stopping || state->task.settle != JOB_RESULT_NONE);
}

/* The one that can be begun first; NULL: none, as long as nothing changes. */
static struct job_state *next_of(const struct job_runs *runs)
{
	struct job_state *next = NULL;

	for (size_t i = 0; i < runs->count; i++) {
		struct job_state *state = &runs->all[i];

		if (may_begin(runs, state) && (next == NULL || ready_ms(runs, state) < ready_ms(runs, next)))
			next = state;
	}
	return next;
}

int job_runs_wait_ms(const struct job_runs *runs)
{
	const struct job_state *next = next_of(runs);
	int64_t until = next != NULL ? ready_ms(runs, next) : INT64_MAX;

	/* How long each may go on is seen by looking: it begins when its claim is answered. */
	if (runs->running > 0)
		until = at_most(until, clock_monotonic_ms() + LOOK_MS);
	return until == INT64_MAX ? -1 : clock_until_ms(until);
}

/* ---- Beginning ----------------------------------------------------------------------------------------------- */

static struct job_outcome run_child(const struct job_task *task)
{
	/* Nothing outlives the process that looks after its deadline. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || sandbox_restrict(SANDBOX_THREADS | sandbox_files(task->app)) != 0)
		return (struct job_outcome){.end = JOB_END_REFUSED};
	return job_task_run(task);
}

static void begin(struct job_runs *runs, struct job_state *state)
{
	const struct job *job = state->task.job;
	char name[16];
	pid_t pid;

	state->forked_ms = clock_monotonic_ms();
	state->kill_ms = 0;
	state->is_killed = false;
	state->killed_as = JOB_RESULT_NONE;
	if (state->task.settle == JOB_RESULT_NONE)
		state->task = job_task_for_owner(runs->app, job);
	*state->outcome = (struct job_outcome){.end = JOB_END_NONE};
	(void)snprintf(name, sizeof name, "ones-job-%s", job->declared.name);
	pid = spawn_helper(name);
	if (pid == 0) {
		*state->outcome = run_child(&state->task);
		/* Not exit(3): what modules have for that is for workers. */
		_exit(EXIT_SUCCESS);
	}
	if (pid < 0) {
		state->due_ms = state->forked_ms + LOOK_AGAIN_MS;
		if (state->task.settle == JOB_RESULT_NONE)
			job_slot_give_back(job->shown);
		return;
	}
	state->pid = pid;
	runs->running++;
	runs->running_of_modules += !job->is_own;
}

/* Of a former generation, or of the binary before us, one may run still. */
static bool is_free(const struct job_runs *runs, const struct job_state *state)
{
	if (state->task.settle != JOB_RESULT_NONE)
		return true;
	if (!needs_database(state) && atomic_load(&runs->app->board->master.is_succeeding))
		return false;
	return job_slot_take(shown(state), getpid());
}

void job_runs_start_due(struct job_runs *runs)
{
	struct job_state *state;

	while ((state = next_of(runs)) != NULL && clock_until_ms(ready_ms(runs, state)) <= 0) {
		if (is_free(runs, state))
			begin(runs, state);
		else
			state->due_ms = clock_monotonic_ms() + LOOK_MS;
	}
}

/* ---- Ending -------------------------------------------------------------------------------------------------- */

static void kill_run(struct job_state *state, enum job_result as)
{
	if (state->killed_as == JOB_RESULT_NONE)
		state->killed_as = as;
	state->is_killed = true;
	(void)kill(state->pid, SIGKILL);
}

/* Until when its process may go on as it is. */
static int64_t deadline_of(const struct job_runs *runs, const struct job_state *state)
{
	const struct settings *settings = runs->app->settings;
	int64_t claimed = state->forked_ms + settings->database.connect_timeout + settings->database.statement_timeout +
	                  CLAIM_MORE_MS;
	int64_t began = job_slot_began_ms(shown(state));

	if (state->task.settle != JOB_RESULT_NONE || !atomic_load(&shown(state)->is_running))
		return claimed;
	return at_most(began, claimed) + state->task.job->timeout_ms;
}

static void end_if_overdue(const struct job_runs *runs, struct job_state *state)
{
	int64_t now = clock_monotonic_ms();
	bool is_running = state->task.settle == JOB_RESULT_NONE && atomic_load(&shown(state)->is_running);

	if (runs->is_stopping && state->task.settle == JOB_RESULT_NONE &&
	    (now >= runs->stop_ms || (state->task.job->is_own && !state->task.job->ends_itself))) {
		kill_run(state, JOB_RESULT_STOPPED);
	} else if (state->kill_ms != 0) {
		if (now >= state->kill_ms)
			kill_run(state, JOB_RESULT_OVERDUE);
	} else if (now >= deadline_of(runs, state)) {
		state->killed_as = JOB_RESULT_OVERDUE;
		state->kill_ms = now + ABORT_MS;
		/* What it is at is wanted, too. */
		if (is_running)
			(void)kill(state->pid, SIGABRT);
		else
			kill_run(state, JOB_RESULT_OVERDUE);
	}
}

void job_runs_end_overdue(struct job_runs *runs)
{
	for (size_t i = 0; i < runs->count; i++) {
		if (runs->all[i].pid != 0 && !runs->all[i].is_killed)
			end_if_overdue(runs, &runs->all[i]);
	}
}

void job_runs_stop(struct job_runs *runs)
{
	int64_t timeout = runs->app->settings->server.shutdown_timeout;

	if (runs->is_stopping)
		return;
	runs->is_stopping = true;
	runs->stop_ms = clock_monotonic_ms() + timeout - at_most(timeout / 2, STOP_RESERVE_MS);
	for (size_t i = 0; i < runs->count; i++) {
		struct job_state *state = &runs->all[i];

		if (state->pid == 0 || !state->task.job->ends_itself)
			continue;
		state->killed_as = JOB_RESULT_STOPPED;
		(void)kill(state->pid, SIGTERM);
	}
}

bool job_runs_are_over(const struct job_runs *runs)
{
	return runs->is_stopping && runs->running == 0 && next_of(runs) == NULL;
}

/* ---- What has become of it ----------------------------------------------------------------------------------- */

/* Nothing of it is left to be done. */
static void release(struct job_state *state, int64_t due_ms)
{
	state->task.settle = JOB_RESULT_NONE;
	state->due_ms = due_ms;
	job_slot_give_back(shown(state));
}

static void note_no_database(struct job_runs *runs)
{
	int64_t now = clock_monotonic_ms();

	/* Several can find out at the same time. */
	if (now < runs->database_again_ms)
		return;
	if (runs->database_pause_ms == 0)
		log_warning("jobs_waiting", LOG_STR("problem", "there is no database"));
	runs->database_pause_ms = runs->database_pause_ms == 0
	                                  ? DATABASE_PAUSE_MIN_MS
	                                  : at_most(2 * runs->database_pause_ms, DATABASE_PAUSE_MAX_MS);
	runs->database_again_ms = now + runs->database_pause_ms;
}

static void note_database(struct job_runs *runs)
{
	if (runs->database_pause_ms != 0)
		log_info("jobs_resumed", LOG_STR("how", "the database is there again"));
	runs->database_pause_ms = 0;
	runs->database_again_ms = 0;
}

/* What came of the run of the process that has ended. */
static enum job_result result_of(const struct job_state *state)
{
	if (state->outcome->end == JOB_END_RAN)
		return state->outcome->result == ONES_RESULT_OK ? JOB_RESULT_OK : JOB_RESULT_FAILED;
	return state->killed_as != JOB_RESULT_NONE ? state->killed_as : JOB_RESULT_CRASHED;
}

static void log_run(const struct job_state *state, enum job_result result, int status)
{
	const struct job *job = state->task.job;
	const char *why = WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it ended its process";
	int64_t took = atomic_load(&job->shown->took_ms);

	if (result == JOB_RESULT_FAILED)
		why = job_returned_text(state->outcome->result);
	if (result == JOB_RESULT_OK)
		log_debug("job_done", LOG_STR("module", job->module->name), LOG_STR("job", job->declared.name),
		          LOG_INT("ms", took));
	else if (result == JOB_RESULT_STOPPED)
		log_warning("job_stopped", LOG_STR("module", job->module->name), LOG_STR("job", job->declared.name),
		            LOG_INT("ms", took));
	else
		log_error("job_failed", LOG_STR("module", job->module->name), LOG_STR("job", job->declared.name),
		          LOG_STR("result", job_result_name(result)), LOG_STR("why", why), LOG_INT("ms", took),
		          LOG_INT("failures", (int64_t)atomic_load(&job->shown->failed)));
}

/* When the next run of a job of this host is due. */
static void wait_here(struct job_state *state, enum job_result result)
{
	const struct job *job = state->task.job;
	int64_t now = clock_monotonic_ms();
	int64_t next = job_slot_began_ms(job->shown) + job->declared.every_ms;

	next = result == JOB_RESULT_STOPPED ? now : at_least(next, now);
	if (result != JOB_RESULT_OK && result != JOB_RESULT_STOPPED)
		next = now + job_pause_ms(job, atomic_load(&job->shown->failed));
	atomic_store(&job->shown->next_ms, next);
	release(state, next);
}

/* It is due when the database says so, which may say something else by then. */
static void wait_until_due(struct job_state *state)
{
	release(state, at_most(next_ms(state->task.job), clock_monotonic_ms() + LOOK_AT_LEAST_MS));
}

/* The same where others have it, who could be done sooner, or nothing has changed since. */
static void wait_for_database(struct job_state *state, int64_t longest_ms)
{
	int64_t now = clock_monotonic_ms();
	int64_t wait = at_most(next_ms(state->task.job) - now, at_most(longest_ms, LOOK_AT_LEAST_MS));

	release(state, now + at_least(wait, LOOK_AGAIN_MS));
}

static void end_of_run(struct job_runs *runs, struct job_state *state, int status)
{
	const struct job *job = state->task.job;
	const struct job_outcome *outcome = state->outcome;
	enum job_result result = result_of(state);
	bool was_begun = atomic_load(&job->shown->is_running);

	if (was_begun) {
		job_slot_count(job->shown, result);
		log_run(state, result, status);
	}
	if (job->declared.on_every_host) {
		wait_here(state, result);
	} else if (outcome->is_recorded) {
		note_database(runs);
		wait_until_due(state);
	} else if (was_begun || result == JOB_RESULT_STOPPED) {
		state->task.settle = result;
		state->due_ms = clock_monotonic_ms();
	} else if (outcome->end == JOB_END_NO_DATABASE || result == JOB_RESULT_OVERDUE) {
		note_no_database(runs);
		release(state, clock_monotonic_ms());
	} else {
		release(state, clock_monotonic_ms() + LOOK_AT_LEAST_MS);
	}
}

/* The record of a run that left none itself. Past the end of its claim others go by that. */
static void end_of_settling(struct job_runs *runs, struct job_state *state)
{
	int64_t now = clock_monotonic_ms();
	int64_t lease_until = job_slot_began_ms(shown(state)) + state->task.run.lease_ms;

	if (state->outcome->end == JOB_END_SETTLED) {
		note_database(runs);
		wait_until_due(state);
		return;
	}
	if (state->outcome->end == JOB_END_REFUSED)
		state->due_ms = now + LOOK_AT_LEAST_MS;
	else
		note_no_database(runs);
	if (runs->is_stopping || now >= lease_until)
		release(state, at_least(now, state->due_ms));
}

static void end_of_process(struct job_runs *runs, struct job_state *state, int status)
{
	if (state->task.settle != JOB_RESULT_NONE) {
		end_of_settling(runs, state);
	} else if (state->outcome->end == JOB_END_NOT_DUE) {
		note_database(runs);
		wait_for_database(state, LOOK_AT_LEAST_MS);
	} else if (state->outcome->end == JOB_END_ELSEWHERE) {
		note_database(runs);
		wait_for_database(state, state->task.job->declared.every_ms);
	} else {
		end_of_run(runs, state, status);
	}
}

void job_runs_reap(struct job_runs *runs, pid_t pid, int status)
{
	for (size_t i = 0; i < runs->count; i++) {
		struct job_state *state = &runs->all[i];

		if (state->pid != pid)
			continue;
		state->pid = 0;
		runs->running--;
		runs->running_of_modules -= !state->task.job->is_own;
		end_of_process(runs, state, status);
		return;
	}
}
