/* The jobs of an application: declaring them, and running one. */
#include "api/jobs.h"

#include "base/clock.h"
#include "base/config_sections.h"
#include "base/log.h"
#include "session/job_claims.h"
#include "session/module_sql.h"

#include <string.h>

#define EVERY_MAX_MS   (INT64_C(366) * 24 * 3600 * 1000)
#define TIMEOUT_MIN_MS INT64_C(100)
#define TIMEOUT_MAX_MS (INT64_C(24) * 3600 * 1000)
#define TIMEOUT_MS     INT64_C(60000)
/* A module that is new shows soon what its jobs do. */
#define FIRST_MAX_MS INT64_C(60000)

/* ---- Declaring ----------------------------------------------------------------------------------------------- */

/* NULL: nothing is wrong with it. */
static const char *problem_of(const struct ones_job *job)
{
	if (job->name == NULL || !config_section_can_be(job->name))
		return "its name is not a letter and then letters, digits and _, all of them small, up to 31";
	if (job->run == NULL)
		return "it has no .run";
	if (job->every_ms < JOB_EVERY_MIN_MS || job->every_ms > EVERY_MAX_MS)
		return ".every_ms is not from 1000 (a second) to 366 days";
	if (job->timeout_ms != 0 && (job->timeout_ms < TIMEOUT_MIN_MS || job->timeout_ms > TIMEOUT_MAX_MS))
		return ".timeout_ms is not from 100 to 86400000 (24 hours)";
	return NULL;
}

static void refuse(struct ones_app *app, const struct ones_job *job, const char *problem)
{
	module_refuse(app, talloc_asprintf(app, "job %s: %s", job->name != NULL ? job->name : "", problem));
}

/* NULL when there are too many, or no memory is left. */
static struct job *add(struct ones_app *app, struct module *module, const struct ones_job *declared)
{
	char *full_name = talloc_asprintf(app, "%s.%s", module->name, declared->name);
	uint32_t number = job_table_claim(&app->board->jobs, module->name, declared->name);
	struct job *jobs;

	if (full_name == NULL || app->job_count == JOB_COUNT_MAX)
		return NULL;
	jobs = talloc_realloc(app, app->jobs, struct job, (unsigned int)app->job_count + 1);
	if (jobs == NULL)
		return NULL;
	app->jobs = jobs;
	module->has_jobs = true;
	jobs[app->job_count] = (struct job){
		.declared = *declared,
		.module = module,
		.full_name = full_name,
		.timeout_ms = declared->timeout_ms != 0 ? declared->timeout_ms : TIMEOUT_MS,
		.first_ms = declared->every_ms < FIRST_MAX_MS ? declared->every_ms : FIRST_MAX_MS,
		.shown = &app->board->jobs.slots[number],
	};
	return &jobs[app->job_count++];
}

void ones_job(struct ones_app *app, const struct ones_job *job)
{
	const char *problem = problem_of(job);

	for (size_t i = 0; i < app->job_count && problem == NULL; i++) {
		if (app->jobs[i].module == app->current && strcmp(app->jobs[i].declared.name, job->name) == 0)
			problem = "there are two of this name";
	}
	if (problem == NULL && add(app, app->current, job) == NULL)
		problem = "there are 64 jobs already, or no memory is left";
	if (problem != NULL)
		refuse(app, job, problem);
}

int jobs_add_own(struct ones_app *app, const struct ones_job *declared, bool ends_itself)
{
	struct job *job = add(app, app->modules[0], declared);

	if (job == NULL)
		return -1;
	job->first_ms = declared->every_ms;
	job->is_own = true;
	job->ends_itself = ends_itself;
	return 0;
}

const struct job *job_find(const struct ones_app *app, const char *full_name)
{
	for (size_t i = 0; i < app->job_count; i++) {
		if (strcmp(app->jobs[i].full_name, full_name) == 0)
			return &app->jobs[i];
	}
	return NULL;
}

/* ---- Running ------------------------------------------------------------------------------------------------- */

static struct job_now now_running;

const struct job_now *job_now(void)
{
	return &now_running;
}

int64_t job_pause_ms(const struct job *job, uint64_t failed)
{
	int64_t every = job->declared.every_ms;
	int64_t longest = every > JOB_PAUSE_MAX_MS ? every : JOB_PAUSE_MAX_MS;
	int64_t pause = every;

	for (uint64_t i = 1; i < failed && pause < longest; i++)
		pause *= 2;
	return pause < longest ? pause : longest;
}

enum ones_result job_run_here(struct ones_app *app, const struct job *job, struct db *db, TALLOC_CTX *ctx,
                              int64_t until_ms)
{
	int64_t now = clock_monotonic_ms();
	struct ones_db sql = {
		.db = db,
		.ctx = ctx,
		.purpose = job->full_name,
		.signals = app->signals,
		.until_ms = now + TIME_FOR_SQL(until_ms - now),
	};
	enum ones_result result;

	(void)module_enter(app, job->module);
	log_set_job(job->declared.name);
	app->job = job;
	now_running = (struct job_now){.app = app, .db = &sql};
	result = job->declared.run(&sql, job->declared.context);
	now_running = (struct job_now){.app = NULL};
	app->job = NULL;
	log_set_job(NULL);
	(void)module_enter(app, NULL);
	return result == ONES_RESULT_OK && sql.has_misread ? ONES_RESULT_FAILED : result;
}

const char *job_returned_text(enum ones_result result)
{
	switch (result) {
	case ONES_RESULT_UNAVAILABLE: return "unavailable";
	case ONES_RESULT_CONFLICT: return "conflict";
	case ONES_RESULT_DUPLICATE: return "duplicate";
	case ONES_RESULT_VIOLATION: return "violation";
	case ONES_RESULT_FAILED: return "failed";
	case ONES_RESULT_REFUSED: return "refused";
	default: return "another result than ONES_RESULT_OK";
	}
}
