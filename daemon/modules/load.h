/* Loading a module's code into this process: never into the master. */
#ifndef MODULES_LOAD_H
#define MODULES_LOAD_H

#include "base/problem.h"
#include "modules/file.h"
#include "onesession.h"

#include <stdbool.h>

/*
 * Load it, and check what it says of itself. By its path when that is what is wanted, so that a debugger finds its
 * source; else the copy that was sealed. It is never unloaded. NULL with *problem.
 */
const struct ones_module *module_load(const struct module_file *file, bool by_path, struct problem *problem);

/*
 * To be asked once, before anything loads it: was it built with a sanitizer that this process cannot take in? Returns
 * 0, or -1 with *problem.
 */
int module_check_sanitizer(const struct module_file *file, struct problem *problem);

/* What it says of itself; `called` is what it was asked for by, a name or a path. Returns 0, or -1 with *problem. */
int module_check_declared(const char *called, const struct ones_module *module, struct problem *problem);

#endif
