/* One reading of the configuration, and what is made of it. */
#include "pool/generation.h"

#include "api/jobs.h"
#include "api/mail_job.h"
#include "api/purge_job.h"
#include "api/webhook_job.h"
#include "base/log.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

struct generation *generation_load(TALLOC_CTX *ctx, const struct config_source *source, FILE *complaints)
{
	struct generation *generation = talloc_zero(ctx, struct generation);
	const struct settings *settings;
	struct problem problem = {0};

	if (generation == NULL) {
		(void)fputs("out of memory\n", complaints);
		return NULL;
	}
	settings = &generation->settings;
	if (config_load(generation, source, &generation->settings, complaints) != 0)
		goto fail;
	generation->acl =
		acl_new(generation, settings->server.allowed_clients, settings->server.allowed_users, &problem);
	if (generation->acl == NULL) {
		(void)fprintf(complaints, "%s\n", problem.text);
		goto fail;
	}
	generation->pages = pages_load(generation, settings->login.pages, complaints);
	if (generation->pages == NULL)
		goto fail;
	return generation;
fail:
	talloc_free(generation);
	return NULL;
}

static size_t guard_workers(const struct generation *generation)
{
	const struct settings *settings = &generation->settings;

	if (settings->server.guard_workers != SETTING_AUTO)
		return (size_t)settings->server.guard_workers;
	return generation->modules->count > 0 && settings->server.workers > 1 ? 1 : 0;
}

static void take_job(struct generation *generation, const char *module, const char *name)
{
	generation->jobs.slots[job_table_claim(&generation->app->board->jobs, module, name)] = true;
}

void generation_take_jobs(struct generation *generation, const struct report *report)
{
	for (size_t i = 0; i < report->job_count; i++)
		take_job(generation, report->jobs[i].module, report->jobs[i].name);
}

int generation_prepare(struct generation *generation, const struct ones_module *own, struct scoreboard *board,
                       uid_t starter, struct problem *problem)
{
	generation->app = app_new(generation, &generation->settings, generation->pages, board);
	if (generation->app == NULL)
		return problem_set(problem, "out of memory");
	if (modules_set_up_own(generation->app, own, problem) != 0)
		return -1;
	if (purge_job_add(generation->app) != 0)
		return problem_set(problem, "out of memory");
	if (webhook_job_add(generation->app, problem) != 0 || mail_job_add(generation->app, problem) != 0)
		return -1;
	for (size_t i = 0; i < generation->app->job_count; i++)
		take_job(generation, MODULE_SESSION, generation->app->jobs[i].declared.name);
	generation->modules = modules_open(generation, &generation->settings, starter, problem);
	if (generation->modules == NULL)
		return -1;
	generation->guard_workers = guard_workers(generation);
	generation->app->keeps_guards = generation->guard_workers > 0;
	return 0;
}

int generation_open_log(const struct generation *generation, struct problem *problem)
{
	const struct settings *settings = &generation->settings;
	const struct passwd *user;
	int error;

	if (log_open("onesessiond", settings->log.to, settings->log.level, settings->log.format) == 0)
		return 0;
	error = errno;
	user = getpwuid(geteuid());
	return problem_set(problem, "log.to: %s: %s for user \"%s\"", settings->log.to, strerror(error),
	                   user != NULL ? user->pw_name : "");
}
