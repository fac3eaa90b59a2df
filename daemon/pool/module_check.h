/*
 * A helper process that loads the modules of a configuration and runs their setup, to see whether they can be served.
 * What they do there, crash or hang, does no harm to the master.
 */
#ifndef POOL_MODULE_CHECK_H
#define POOL_MODULE_CHECK_H

#include "base/problem.h"
#include "modules/report.h"
#include "pool/generation.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct module_check {
	pid_t pid; /* 0: none runs */
	int fd;
	int64_t give_up_at;
	bool is_overdue;
	struct report report;
};

/* Start one for a generation that has been prepared, and that has modules. Returns 0, or -1: it could not be, which is
 * logged. */
int module_check_start(struct module_check *check, const struct generation *generation);

/* Every now and then: read what it has reported so far, and kill it when it takes too long. */
void module_check_step(struct module_check *check);

/*
 * It has ended, with the status of waitpid(2). The generation's application has its modules then. Returns 0, or -1 with
 * *problem.
 */
int module_check_end(struct module_check *check, int status, struct generation *generation, struct problem *problem);

/* All of this at once, with nothing else to do meanwhile; without modules there is nothing to check. */
int module_check_run(struct generation *generation, struct problem *problem);

#endif
