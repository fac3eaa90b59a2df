/*
 * What a worker, or a job, says when it crashes: a line of the log with module and route or job, and one for each frame
 * of its stack.
 */
#ifndef POOL_CRASH_H
#define POOL_CRASH_H

#include "api/app.h"
#include "modules/modules.h"

/*
 * From now on SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT are logged before they end the process. The master sends the
 * last one to a worker whose request takes too long, and so does the process that runs jobs. Called before the process
 * is restricted: it loads what unwinding takes. `app` and `modules` have to stay. Returns 0, or -1 with errno.
 */
int crash_install(const struct ones_app *app, const struct modules *modules);

#endif
