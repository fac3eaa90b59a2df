/* onesessionctl migrate: the tables of modules. */
#ifndef CTL_MODULES_H
#define CTL_MODULES_H

#include "ctl/ctl.h"

/*
 * Bring the tables of the modules in server.modules up to date, and with --grant give the role its rights to them.
 * Modules are not loaded: their code has no business here (see module_object.h). Those without a folder of migrations
 * have no tables. For each, an object is added to `told`. Returns the exit status.
 */
int modules_migrate(struct ctl *ctl, json_t *told);

/* The same for the module of --module, which has to have a folder: that of --folder, if it was given. */
int modules_migrate_one(struct ctl *ctl, json_t *told);

#endif
