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

void stop_begin(struct master *master, const char *why)
{
	log_info("stopping", LOG_STR("why", why), LOG_STR("how", "requests under way are finished first"));
	master->stop.is_begun = true;
	master->stop.deadline = clock_monotonic_ms() + master_settings(master)->server.shutdown_timeout;
	atomic_store(&master->setup->board->master.is_ending, true);
	leave_sockets(master);
	/* The workers end after it: the fallback worker forwards what it has to them. So do guard workers. */
	children_retire(master->children, NULL, CHILDREN_FALLBACK, master->stop.deadline);
	stop_helpers(master, SIGTERM);
}

void stop_step(struct master *master)
{
	struct stop *stop = &master->stop;

	if (!stop->are_guards_retired && children_count(master->children, NULL, CHILDREN_FALLBACK) == 0) {
		stop->are_guards_retired = true;
		children_retire(master->children, NULL, CHILDREN_GUARDS, stop->deadline);
	}
	if (stop->are_guards_retired && !stop->are_workers_retired &&
	    children_count(master->children, NULL, CHILDREN_GUARDS) == 0) {
		stop->are_workers_retired = true;
		children_retire(master->children, NULL, CHILDREN_WORKERS, stop->deadline);
	}
	if (stop->are_workers_retired && !stop->is_hasher_retired &&
	    children_count(master->children, NULL, CHILDREN_WORKERS) == 0) {
		stop->is_hasher_retired = true;
		children_retire(master->children, NULL, CHILDREN_ALL, stop->deadline);
	}
}

void stop_at_once(struct master *master, const char *why)
{
	log_info("stopping", LOG_STR("why", why), LOG_STR("how", "at once"));
	master->stop.is_begun = master->stop.are_guards_retired = true;
	master->stop.are_workers_retired = master->stop.is_hasher_retired = true;
	leave_sockets(master);
	children_kill(master->children);
	stop_helpers(master, SIGKILL);
}
