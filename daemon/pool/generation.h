/* One reading of the configuration, and what is made of it. A reload makes a new generation beside the one in force. */
#ifndef POOL_GENERATION_H
#define POOL_GENERATION_H

#include "api/app.h"
#include "base/config.h"
#include "base/problem.h"
#include "base/scoreboard.h"
#include "modules/modules.h"
#include "modules/report.h"
#include "pool/acl.h"

#include <stdio.h>
#include <sys/types.h>
#include <talloc.h>

struct generation {
	struct settings settings;
	struct acl *acl;
	struct pages *pages;
	struct ones_app *app;       /* NULL until generation_prepare() */
	struct modules *modules;    /* likewise; what they are is known after module_check_end() */
	size_t guard_workers;       /* of its workers, so many are guard workers */
	struct job_slots_used jobs; /* those of its jobs, as far as they are known by now */
};

/*
 * Read the configuration and check it, on `ctx`. Everything that is wrong is written to `complaints`, a line each. NULL
 * when anything was wrong.
 */
struct generation *generation_load(TALLOC_CTX *ctx, const struct config_source *source, FILE *complaints);

/*
 * Make its application, with the daemon's own module, and open the files of the others: `starter` is the user who
 * started the daemon. Returns 0, or -1 with *problem.
 */
int generation_prepare(struct generation *generation, const struct ones_module *own, struct scoreboard *board,
                       uid_t starter, struct problem *problem);

/* Its modules' jobs have been reported: have slots for them, before its processes look for these. */
void generation_take_jobs(struct generation *generation, const struct report *report);

/* Log where it says, from now on. Returns 0, or -1 with *problem: the log stays what it was. */
int generation_open_log(const struct generation *generation, struct problem *problem);

#endif
