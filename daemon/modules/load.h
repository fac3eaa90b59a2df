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

#endif
