/* The modules of an application: the daemon's own, "session", and those that server.modules names. */
#ifndef API_MODULE_H
#define API_MODULE_H

#include "api/app.h"
#include "base/problem.h"
#include "http/page.h"

#include <stdbool.h>

/* The daemon's own, which is always the first. */
#define MODULE_SESSION "session"

/* The size of a module's version with the NUL at its end. */
#define MODULE_VERSION_SIZE 32

struct module {
	const char *name;
	const char *version;                  /* "" without one */
	const char *prefix;                   /* below which its routes are; "": the root */
	const struct config_section *section; /* of the configuration; NULL: none */
	const struct pages *pages;            /* its own, or the daemon's */
	const char *migrations;               /* the folder that it names; NULL: none */
	const char *error_page;               /* see ones_error_page(); NULL: the daemon's */
	const struct ones_module *declared;   /* NULL: it is not loaded in this process */
	bool has_jobs;
	bool is_started; /* in this process */
};

/*
 * Add the module that `declared` describes, with its section of the configuration, and without its routes. Its strings
 * are copied; `declared` is kept. NULL with *problem: its name or prefix is another's, there are too many, or no
 * memory.
 */
struct module *module_add(struct ones_app *app, const struct ones_module *declared, struct problem *problem);

/* Is it the daemon's own? */
bool module_is_own(const struct ones_app *app, const struct module *module);

/* The module of that name; NULL when there is none. */
const struct module *module_find(const struct ones_app *app, const char *name);

/* Its code is about to run; NULL: that is over. Returns the one before. */
struct module *module_enter(struct ones_app *app, struct module *module);

/* What a call during setup is refused with; NULL: there was no memory to say it. The last one counts. */
void module_refuse(struct ones_app *app, const char *sentence);

/* Run its setup. Returns 0, or -1 with *problem. */
int module_setup(struct ones_app *app, struct module *module, struct problem *problem);

/*
 * After the setup of the last: what one of them has connected receivers to, another one has declared. Returns 0, or -1
 * with *problem.
 */
int modules_check_signals(const struct ones_app *app, struct problem *problem);

/* Which modules are started: in the process that runs jobs those that have any. */
enum modules_wanted { MODULES_ALL, MODULES_WITH_JOBS };

/* Run each one's start, in their order. Returns 0, or -1 with *problem. */
int modules_start(struct ones_app *app, enum modules_wanted wanted, struct problem *problem);

/* Run the stop of each that was started, the last first. */
void modules_stop(struct ones_app *app);

/* The module below whose prefix `path` is, the longest of them; *below is then the rest of the path. NULL: none. */
const struct module *module_of_path(const struct ones_app *app, const char *path, const char **below);

#endif
