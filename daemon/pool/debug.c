/* Serving in one process, for gdb and valgrind. */
#include "pool/debug.h"

#include "base/log.h"
#include "pool/children.h"
#include "pool/supervision.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ctrl-C is for the master, which is not there; a worker knows TERM. */
static void stop(int signal)
{
	(void)signal;
	(void)kill(getpid(), SIGTERM);
}

static int take_interrupts(void)
{
	const struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	return sigaction(SIGINT, &action, NULL) != 0 || sigprocmask(SIG_UNBLOCK, &set, NULL) != 0 ? -1 : 0;
}

int debug_run(const struct master_setup *setup)
{
	struct problem problem = {0};
	struct children *children = children_new(setup->ctx, setup->board, setup->listeners, &problem);
	int status;

	if (children == NULL || take_interrupts() != 0) {
		log_error("start_failed", LOG_STR("problem", problem.text));
		return 1;
	}
	children_spawn_hasher(children, &setup->generation->settings);
	children_start_missing(children);
	listeners_log(setup->listeners);
	log_info("debugging", LOG_STR("how", "one process serves, without restrictions"));
	status = children_debug_worker(children, setup->generation);
	listeners_unlink(setup->listeners);
	children_signal(children, SIGTERM);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return status;
}
