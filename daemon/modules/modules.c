/* The modules that a configuration names, from their files to their routes. */
#include "modules/modules.h"

#include "api/folders.h"
#include "api/jobs.h"
#include "api/page_values.h"
#include "base/file_owner.h"
#include "modules/load.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

int modules_set_up_own(struct ones_app *app, const struct ones_module *own, struct problem *problem)
{
	struct module *module = module_add(app, own, problem);

	return module != NULL ? module_setup(app, module, problem) : -1;
}

static int open_one(struct modules *modules, const char *called, uid_t starter, struct problem *problem)
{
	struct module_file *file;

	if (modules->count == APP_MODULES_MAX - 1)
		return problem_set(problem, "server.modules: more than %d", APP_MODULES_MAX - 1);
	file = module_file_open(modules, called, starter, problem);
	if (file == NULL)
		return -1;
	for (size_t i = 0; i < modules->count; i++) {
		if (strcmp(modules->files[i]->path, file->path) == 0)
			return problem_set(problem, "server.modules: %s and %s are the same file",
			                   modules->files[i]->called, called);
	}
	modules->files[modules->count++] = file;
	return 0;
}

struct modules *modules_open(TALLOC_CTX *ctx, const struct settings *settings, uid_t starter, struct problem *problem)
{
	struct modules *modules = talloc_zero(ctx, struct modules);
	char *words = talloc_strdup(modules, settings->server.modules);
	const char *word;

	if (modules == NULL || words == NULL) {
		(void)problem_set(problem, "out of memory");
		talloc_free(modules);
		return NULL;
	}
	modules->starter = starter;
	while ((word = strsep(&words, " \t")) != NULL) {
		if (word[0] != '\0' && open_one(modules, word, starter, problem) != 0) {
			talloc_free(modules);
			return NULL;
		}
	}
	return modules;
}

/* ---- In the process that checks them ------------------------------------------------------------------------- */

static void copy_text(char *to, size_t size, const char *text)
{
	(void)snprintf(to, size, "%s", text != NULL ? text : "");
}

static int report_module(int fd, uint32_t index, const struct ones_module *module)
{
	struct report_record record = {.kind = REPORT_MODULE, .index = index};

	copy_text(record.name, sizeof record.name, module->name);
	copy_text(record.version, sizeof record.version, module->version);
	copy_text(record.pages, sizeof record.pages, module->pages);
	copy_text(record.migrations, sizeof record.migrations, module->migrations);
	return report_write(fd, &record);
}

static int report_kind(int fd, enum report_kind kind, uint32_t index)
{
	return report_write(fd, &(struct report_record){.kind = (uint32_t)kind, .index = index});
}

static int check_one(struct ones_app *app, const struct modules *modules, uint32_t index, int fd,
                     struct problem *problem)
{
	const struct ones_module *declared;
	struct module *module;

	if (report_kind(fd, REPORT_LOADING, index) != 0)
		return problem_set_errno(problem);
	if (module_check_sanitizer(modules->files[index], problem) != 0)
		return -1;
	declared = module_load(modules->files[index], modules->by_path, problem);
	if (declared == NULL)
		return -1;
	module = module_add(app, declared, problem);
	if (module == NULL)
		return -1;
	if (report_module(fd, index, declared) != 0 || report_kind(fd, REPORT_SETUP, index) != 0)
		return problem_set_errno(problem);
	if (module_setup(app, module, problem) != 0)
		return -1;
	/* It would have the sockets of every worker that it is started in, also when that has ended. */
	if (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD)
		return problem_set(problem, "module %s: its setup leaves a process behind", module->name);
	return 0;
}

static int report_jobs(int fd, const struct ones_app *app)
{
	for (size_t i = 0; i < app->job_count; i++) {
		struct report_record record = {.kind = REPORT_JOB};

		copy_text(record.name, sizeof record.name, app->jobs[i].module->name);
		copy_text(record.text, sizeof record.text, app->jobs[i].declared.name);
		if (report_write(fd, &record) != 0)
			return -1;
	}
	return 0;
}

/* Returns -1. */
static int report_wrong(int fd, uint32_t index, const struct problem *problem)
{
	struct report_record wrong = {.kind = REPORT_PROBLEM, .index = index};

	copy_text(wrong.text, sizeof wrong.text, problem->text);
	(void)report_write(fd, &wrong);
	return -1;
}

int modules_check(struct ones_app *app, const struct modules *modules, int fd)
{
	struct problem problem = {0};

	for (uint32_t i = 0; i < modules->count; i++) {
		if (check_one(app, modules, i, fd, &problem) != 0)
			return report_wrong(fd, i, &problem);
	}
	if (modules_check_signals(app, &problem) != 0 || folders_try(app, &problem) != 0)
		return report_wrong(fd, 0, &problem);
	return report_jobs(fd, app) == 0 ? report_kind(fd, REPORT_DONE, 0) : -1;
}

/* ---- In the master ------------------------------------------------------------------------------------------- */

/* Complaints of several lines, which become one sentence. */
struct complaints {
	FILE *stream;
	char *text;
	size_t size;
};

static int complaints_begin(struct complaints *complaints, struct problem *problem)
{
	*complaints = (struct complaints){0};
	complaints->stream = open_memstream(&complaints->text, &complaints->size);
	return complaints->stream != NULL ? 0 : problem_set_errno(problem);
}

/* Returns `result`, of that which could complain, or -1; with *problem when that is not 0. */
static int complaints_end(struct complaints *complaints, int result, struct problem *problem)
{
	if (fclose(complaints->stream) != 0) {
		result = problem_set_errno(problem);
	} else if (result != 0) {
		char *text = complaints->text;

		for (size_t length = strlen(text); length > 0 && text[length - 1] == '\n';)
			text[--length] = '\0';
		for (char *at = text; (at = strchr(at, '\n')) != NULL;)
			*at = ';';
		(void)problem_set(problem, "%s", text);
	}
	free(complaints->text);
	return result;
}

/* The folder is beside the object at `object`. NULL: out of memory. */
static char *pages_folder(TALLOC_CTX *ctx, const char *object, const char *folder)
{
	char *copy = talloc_strdup(ctx, object);

	return copy != NULL ? talloc_asprintf(ctx, "%s/%s", dirname(copy), folder) : NULL;
}

/* Scripts are among them: who can write them acts as everybody who opens the module's pages. */
static int check_pages(const struct modules *modules, const struct module *module, const char *object,
                       const char *folder, struct problem *problem)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	char *path = pages_folder(scratch, object, folder);
	struct problem reason = {0};
	int result = 0;

	if (path == NULL)
		result = problem_set(problem, "out of memory");
	else if (file_owner_check_tree(path, modules->starter, &reason) != 0)
		result = problem_set(problem, "module %s: pages: %s", module->name, reason.text);
	talloc_free(scratch);
	return result;
}

static int load_pages(struct ones_app *app, struct module *module, const char *object, const char *folder,
                      struct problem *problem)
{
	char *path = pages_folder(module, object, folder);
	char *what = talloc_asprintf(module, "module %s: pages", module->name);
	struct complaints complaints;

	if (path == NULL || what == NULL)
		return problem_set(problem, "out of memory");
	if (complaints_begin(&complaints, problem) != 0)
		return -1;
	module->pages = pages_load_module(module, app->pages, what, path, complaints.stream);
	if (complaints_end(&complaints, module->pages != NULL ? 0 : -1, problem) != 0)
		return -1;
	return page_values_add(app, module->pages) == 0 ? 0 : problem_set(problem, "out of memory");
}

static int check_sections(const struct ones_app *app, struct problem *problem)
{
	const char *names[APP_MODULES_MAX];
	struct complaints complaints;

	if (complaints_begin(&complaints, problem) != 0)
		return -1;
	for (size_t i = 0; i < app->module_count; i++)
		names[i] = app->modules[i]->name;
	return complaints_end(
		&complaints,
		config_sections_check(app->settings->sections, names, app->module_count, complaints.stream), problem);
}

static int take_one(struct ones_app *app, const struct modules *modules, const struct module_file *file,
                    const struct module_facts *facts, struct problem *problem)
{
	const struct ones_module declared = {.name = facts->name,
	                                     .version = facts->version,
	                                     .migrations = facts->migrations[0] != '\0' ? facts->migrations : NULL};
	struct module *module;

	if (!facts->are_known)
		return problem_set(problem, "module %s: what it is was not reported", file->called);
	module = module_add(app, &declared, problem);
	if (module == NULL)
		return -1;
	module->declared = NULL;
	if (facts->pages[0] == '\0')
		return 0;
	return check_pages(modules, module, file->path, facts->pages, problem) == 0
	               ? load_pages(app, module, file->path, facts->pages, problem)
	               : -1;
}

int modules_take(struct ones_app *app, const struct modules *modules, const struct report *report,
                 struct problem *problem)
{
	for (size_t i = 0; i < modules->count; i++) {
		if (take_one(app, modules, modules->files[i], &report->facts[i], problem) != 0)
			return -1;
	}
	return check_sections(app, problem);
}

/* ---- In a program that a module is part of ------------------------------------------------------------------- */

struct module *modules_add_linked(struct ones_app *app, const struct ones_module *declared, const char *object,
                                  struct problem *problem)
{
	struct module *module;

	if (module_check_declared(object, declared, problem) != 0)
		return NULL;
	module = module_add(app, declared, problem);
	if (module == NULL ||
	    (declared->pages != NULL && load_pages(app, module, object, declared->pages, problem) != 0))
		return NULL;
	return check_sections(app, problem) == 0 ? module : NULL;
}

/* ---- In a worker --------------------------------------------------------------------------------------------- */

int modules_load(struct ones_app *app, const struct modules *modules, struct problem *problem)
{
	for (size_t i = 0; i < modules->count; i++) {
		struct module *module = app->modules[i + 1];

		module->declared = module_load(modules->files[i], modules->by_path, problem);
		if (module->declared == NULL || module_setup(app, module, problem) != 0)
			return -1;
	}
	return modules_check_signals(app, problem);
}
