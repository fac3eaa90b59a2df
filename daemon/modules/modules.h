/* The modules that a configuration names, from their files to their routes. */
#ifndef MODULES_MODULES_H
#define MODULES_MODULES_H

#include "api/module.h"
#include "modules/file.h"
#include "modules/report.h"

/* Those of a generation. The files are closed with it. */
struct modules {
	size_t count;
	const struct module_file *files[APP_MODULES_MAX];
	uid_t starter; /* who may write them besides root */
	bool by_path;  /* they are loaded from their paths, for a debugger */
};

/* Add the daemon's own module to the application, with its routes. Returns 0, or -1 with *problem. */
int modules_set_up_own(struct ones_app *app, const struct ones_module *own, struct problem *problem);

/* Open the files that server.modules names, on `ctx`. NULL with *problem. */
struct modules *modules_open(TALLOC_CTX *ctx, const struct settings *settings, uid_t starter, struct problem *problem);

/*
 * In a process that ends afterwards: load them, run their setup, and write to `fd` what they are and what is wrong with
 * them. `app` has the daemon's own module. Returns 0, or -1: something was wrong.
 */
int modules_check(struct ones_app *app, const struct modules *modules, int fd);

/*
 * In the master: add them to the application, by what was reported of them, with their pages; their code is not there.
 * Every section of the configuration has to be one of theirs. Returns 0, or -1 with *problem.
 */
int modules_take(struct ones_app *app, const struct modules *modules, const struct report *report,
                 struct problem *problem);

/*
 * In a program that the module is linked into: add it to the application, which has the daemon's own, with its pages;
 * its folders are beside `object`. NULL with *problem.
 */
struct module *modules_add_linked(struct ones_app *app, const struct ones_module *declared, const char *object,
                                  struct problem *problem);

/* In a worker: load them, and run their setup. Returns 0, or -1 with *problem. */
int modules_load(struct ones_app *app, const struct modules *modules, struct problem *problem);

#endif
