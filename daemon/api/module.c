/* The modules of an application. */
#include "api/module.h"

#include "api/routes.h"
#include "base/log.h"
#include "base/options.h"
#include "base/version.h"

#include <string.h>

/* ---- Adding one ---------------------------------------------------------------------------------------------- */

/* The daemon's own has a section of the daemon's, and no keys of its own there. */
static const char *prefix_for(TALLOC_CTX *ctx, const struct ones_app *app, const struct module *module)
{
	const char *prefix = config_section_value(module->section, "prefix");

	if (app->module_count == 0)
		return app->settings->server.prefix;
	if (prefix == NULL)
		return talloc_asprintf(ctx, "/%s", module->name);
	return strcmp(prefix, "/") == 0 ? "" : prefix;
}

static const char *version_of(const struct ones_app *app, const struct ones_module *declared)
{
	if (app->module_count == 0)
		return ONESESSION_VERSION;
	return declared->version != NULL ? declared->version : "";
}

/* The daemon's own route that requests below the prefix would not come to any more; NULL: there is none. */
static const char *own_route_of(const struct ones_app *app, const char *prefix)
{
	const char *own = app->modules[0]->prefix;
	size_t length = strlen(own);

	if (strncmp(prefix, own, length) != 0 || prefix[length] != '/')
		return NULL;
	for (size_t i = 0; i < app->route_count; i++) {
		const struct ones_route *route = &app->routes[i].declared;
		size_t path_length = strcspn(route->path, ":");

		if (app->routes[i].module == app->modules[0] &&
		    strncmp(prefix + length, route->path, path_length) == 0 && path_length > 1 &&
		    (prefix[length + path_length] == '\0' || prefix[length + path_length] == '/'))
			return route->path;
	}
	return NULL;
}

/* Returns 0, or -1 with *problem. */
static int check_against_others(const struct ones_app *app, const struct module *module, struct problem *problem)
{
	const char *own_route;

	for (size_t i = 0; i < app->module_count; i++) {
		const struct module *other = app->modules[i];

		if (strcmp(other->name, module->name) == 0)
			return problem_set(problem, "module %s: there are two modules of this name", module->name);
		if (strcmp(other->prefix, module->prefix) == 0)
			return problem_set(problem, "module %s: its prefix is \"%s\", which is that of %s",
			                   module->name, module->prefix, i == 0 ? "server.prefix" : other->name);
	}
	own_route = app->module_count > 0 ? own_route_of(app, module->prefix) : NULL;
	if (own_route != NULL)
		return problem_set(problem, "module %s: its prefix is \"%s\", where the daemon's own route %s is",
		                   module->name, module->prefix, own_route);
	if (app->module_count > 0 && options_has_section(module->name))
		return problem_set(problem, "module %s: [%s] is a section of the daemon's own", module->name,
		                   module->name);
	return 0;
}

struct module *module_add(struct ones_app *app, const struct ones_module *declared, struct problem *problem)
{
	struct module *module = talloc_zero(app, struct module);

	if (module == NULL || app->module_count == APP_MODULES_MAX) {
		(void)problem_set(problem, module == NULL ? "out of memory" : "there are more than %d modules",
		                  APP_MODULES_MAX - 1);
		talloc_free(module);
		return NULL;
	}
	module->name = talloc_strdup(module, declared->name);
	module->version = talloc_strdup(module, version_of(app, declared));
	if (declared->migrations != NULL)
		module->migrations = talloc_strdup(module, declared->migrations);
	module->pages = app->pages;
	module->declared = declared;
	if (app->module_count > 0 && module->name != NULL)
		module->section = config_sections_find(app->settings->sections, module->name);
	module->prefix = module->name != NULL ? prefix_for(module, app, module) : NULL;
	if (module->version == NULL || module->prefix == NULL ||
	    (declared->migrations != NULL && module->migrations == NULL))
		(void)problem_set(problem, "out of memory");
	else if (check_against_others(app, module, problem) == 0)
		return app->modules[app->module_count++] = module;
	talloc_free(module);
	return NULL;
}

bool module_is_own(const struct ones_app *app, const struct module *module)
{
	return module == app->modules[0];
}

const struct module *module_find(const struct ones_app *app, const char *name)
{
	for (size_t i = 0; i < app->module_count; i++) {
		if (strcmp(app->modules[i]->name, name) == 0)
			return app->modules[i];
	}
	return NULL;
}

/* ---- Running it ---------------------------------------------------------------------------------------------- */

struct module *module_enter(struct ones_app *app, struct module *module)
{
	struct module *before = app->current;

	app->current = module;
	/* Lines of the daemon's own need not say so. */
	log_set_module(module != NULL && !module_is_own(app, module) ? module->name : NULL);
	return before;
}

void module_refuse(struct ones_app *app, const char *sentence)
{
	app->setup_problem = sentence != NULL ? sentence : "out of memory";
}

int module_setup(struct ones_app *app, struct module *module, struct problem *problem)
{
	bool is_well;

	(void)module_enter(app, module);
	is_well = module->declared->setup == NULL || module->declared->setup(app);
	(void)module_enter(app, NULL);
	if (app->setup_problem != NULL)
		return problem_set(problem, "module %s: %s", module->name, app->setup_problem);
	return is_well ? 0 : problem_set(problem, "module %s: its setup returned false", module->name);
}

int modules_check_signals(const struct ones_app *app, struct problem *problem)
{
	return signals_check(app->signals, problem);
}

int modules_start(struct ones_app *app, enum modules_wanted wanted, struct problem *problem)
{
	for (size_t i = 0; i < app->module_count; i++) {
		struct module *module = app->modules[i];
		bool is_well;

		if (wanted == MODULES_WITH_JOBS && !module->has_jobs)
			continue;
		(void)module_enter(app, module);
		is_well = module->declared->start == NULL || module->declared->start(app);
		(void)module_enter(app, NULL);
		if (!is_well)
			return problem_set(problem, "module %s: its start returned false", module->name);
		module->is_started = true;
	}
	return 0;
}

void modules_stop(struct ones_app *app)
{
	for (size_t i = app->module_count; i-- > 0;) {
		if (!app->modules[i]->is_started)
			continue;
		(void)module_enter(app, app->modules[i]);
		if (app->modules[i]->declared->stop != NULL)
			app->modules[i]->declared->stop(app);
		(void)module_enter(app, NULL);
	}
}

const struct module *module_of_path(const struct ones_app *app, const char *path, const char **below)
{
	const struct module *found = NULL;
	size_t longest = 0;

	for (size_t i = 0; i < app->module_count; i++) {
		const struct module *module = app->modules[i];
		size_t length = strlen(module->prefix);

		if ((found != NULL && length < longest) || strncmp(path, module->prefix, length) != 0 ||
		    (path[length] != '/' && path[length] != '\0'))
			continue;
		found = module;
		longest = length;
		*below = path + length;
	}
	return found;
}

/* ---- For modules --------------------------------------------------------------------------------------------- */

const char *ones_setting(const struct ones_app *app, const char *key)
{
	return app->current != NULL ? config_section_value(app->current->section, key) : NULL;
}

void ones_error_page(struct ones_app *app, const char *page)
{
	app->current->error_page = page;
}
