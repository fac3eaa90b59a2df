/* Stopping, in steps. */
#include "pool/stop.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/service.h"
#include "pool/supervision.h"

#include <signal.h>

static void stop_helpers(const struct master *master, int signal)
{
	helpers_signal(&master->helpers, signal);
	if (master->reload.probe != 0)
		(void)kill(master->reload.probe, signal);
	/* What modules do at a TERM is not known. */
	if (master->reload.check.pid != 0)
		(void)kill(master->reload.check.pid, SIGKILL);
	if (master->upgrade.successor.pid != 0)
		successor_kill(&master->upgrade.successor);
}

/* A peer that tries to connect from now on is refused at once; one that has connected is served. */
static void leave_sockets(const struct master *master)
{
	if (master->keeps_paths)
		return;
	atomic_store(&master->setup->board->master.is_closing, true);
	service_stopping();
	listeners_unlink(master->setup->listeners);
}

/*
 * Who ends, one kind after another: the fallback worker and guard workers forward what they have to workers, and these
 * have passwords hashed.
 */
static const enum child_kinds order[] = {CHILDREN_FALLBACK, CHILDREN_GUARDS, CHILDREN_WORKERS, CHILDREN_ALL};

#define LAST_STEP (sizeof order / sizeof order[0] - 1)

static void retire(struct master *master, size_t step)
{
	master->stop.step = step;
	children_retire(master->children, NULL, order[step], master->stop.deadline);
}

void stop_begin(struct master *master, const char *why)
{
	log_info("stopping", LOG_STR("why", why), LOG_STR("how", "requests under way are finished first"));
	master->stop.is_begun = true;
	master->stop.deadline = clock_monotonic_ms() + master_settings(master)->server.shutdown_timeout;
	atomic_store(&master->setup->board->master.is_ending, true);
	leave_sockets(master);
	/* No other waits for it. */
	children_retire(master->children, NULL, CHILDREN_JOBS, master->stop.deadline);
	retire(master, 0);
	stop_helpers(master, SIGTERM);
}

void stop_step(struct master *master)
{
	while (master->stop.step < LAST_STEP && children_count(master->children, NULL, order[master->stop.step]) == 0)
		retire(master, master->stop.step + 1);
}

void stop_at_once(struct master *master, const char *why)
{
	log_info("stopping", LOG_STR("why", why), LOG_STR("how", "at once"));
	master->stop.is_begun = true;
	master->stop.step = LAST_STEP;
	leave_sockets(master);
	children_kill(master->children);
	stop_helpers(master, SIGKILL);
}
