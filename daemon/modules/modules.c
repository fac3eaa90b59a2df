/* The modules that a configuration names, from their files to their routes. */
#include "modules/modules.h"

#include "modules/load.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int modules_set_up_own(struct ones_app *app, struct problem *problem)
{
	struct module *own = module_add(app, &session_module, problem);

	return own != NULL ? module_setup(app, own, problem) : -1;
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
	struct report_record record = {.kind = REPORT_MODULE, .index = index, .abi = module->abi};

	copy_text(record.name, sizeof record.name, module->name);
	copy_text(record.version, sizeof record.version, module->version);
	copy_text(record.pages, sizeof record.pages, module->pages);
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
	declared = module_load(modules->files[index], modules->by_path, problem);
	if (declared == NULL)
		return -1;
	module = module_add(app, declared, problem);
	if (module == NULL)
		return -1;
	if (report_module(fd, index, declared) != 0 || report_kind(fd, REPORT_SETUP, index) != 0)
		return problem_set_errno(problem);
	return module_setup(app, module, problem);
}

int modules_check(struct ones_app *app, const struct modules *modules, int fd)
{
	struct report_record wrong = {.kind = REPORT_PROBLEM};
	struct problem problem = {0};

	for (uint32_t i = 0; i < modules->count; i++) {
		if (check_one(app, modules, i, fd, &problem) != 0) {
			wrong.index = i;
			copy_text(wrong.text, sizeof wrong.text, problem.text);
			(void)report_write(fd, &wrong);
			return -1;
		}
	}
	return report_kind(fd, REPORT_DONE, 0);
}

/* ---- In the master ------------------------------------------------------------------------------------------- */

/* What was complained of as one sentence. */
static int take_complaints(FILE *stream, char **text, struct problem *problem)
{
	size_t length;

	if (fclose(stream) != 0)
		return problem_set_errno(problem);
	length = strlen(*text);
	while (length > 0 && (*text)[length - 1] == '\n')
		(*text)[--length] = '\0';
	for (char *at = *text; (at = strchr(at, '\n')) != NULL;)
		*at = ';';
	return problem_set(problem, "%s", *text);
}

static int load_pages(struct ones_app *app, struct module *module, const struct module_file *file, const char *folder,
                      struct problem *problem)
{
	char *copy = talloc_strdup(module, file->path), *text = NULL;
	char *path = copy != NULL ? talloc_asprintf(module, "%s/%s", dirname(copy), folder) : NULL;
	char *what = talloc_asprintf(module, "module %s: pages", module->name);
	size_t size;
	FILE *complaints = open_memstream(&text, &size);

	if (complaints == NULL)
		return problem_set_errno(problem);
	if (path != NULL && what != NULL)
		module->pages = pages_load_module(module, app->pages, what, path, complaints);
	else
		(void)fputs("out of memory", complaints);
	if (path == NULL || what == NULL || module->pages == NULL)
		(void)take_complaints(complaints, &text, problem);
	else
		(void)fclose(complaints);
	free(text);
	return path != NULL && what != NULL && module->pages != NULL ? 0 : -1;
}

static int check_sections(const struct ones_app *app, struct problem *problem)
{
	const char *names[APP_MODULES_MAX];
	char *text = NULL;
	size_t size;
	FILE *complaints = open_memstream(&text, &size);
	int result;

	if (complaints == NULL)
		return problem_set_errno(problem);
	for (size_t i = 0; i < app->module_count; i++)
		names[i] = app->modules[i]->name;
	result = config_sections_check(app->settings->sections, names, app->module_count, complaints);
	if (result != 0)
		(void)take_complaints(complaints, &text, problem);
	else
		(void)fclose(complaints);
	free(text);
	return result;
}

static int take_one(struct ones_app *app, const struct module_file *file, const struct module_facts *facts,
                    struct problem *problem)
{
	const struct ones_module declared = {.abi = facts->abi, .name = facts->name, .version = facts->version};
	struct module *module;

	if (!facts->are_known)
		return problem_set(problem, "module %s: what it is was not reported", file->called);
	module = module_add(app, &declared, problem);
	if (module == NULL)
		return -1;
	module->declared = NULL;
	return facts->pages[0] == '\0' ? 0 : load_pages(app, module, file, facts->pages, problem);
}

int modules_take(struct ones_app *app, const struct modules *modules, const struct report *report,
                 struct problem *problem)
{
	for (size_t i = 0; i < modules->count; i++) {
		if (take_one(app, modules->files[i], &report->facts[i], problem) != 0)
			return -1;
	}
	return check_sections(app, problem);
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
	return 0;
}
