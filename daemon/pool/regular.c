/* The role of a regular worker. */
#include "pool/regular.h"

#include "pool/admission.h"
#include "pool/hashing.h"
#include "session/db.h"

static int open_services(struct worker *worker)
{
	hashing_open(worker);
	if (app_open_database(worker->app, "onesessiond") != 0)
		return -1;
	worker->db = worker->app->rule.db;
	/* The first connection also loads what the libraries load late, which is forbidden from then on. */
	(void)db_connect(worker->db);
	atomic_store(&worker->slot->is_connected, db_is_connected(worker->db));
	return 0;
}

/* Without a database it could only answer that there is none: connections are left to workers that have one. */
static bool defer_accept(struct worker *worker)
{
	const struct process_table *processes = &worker->setup->board->processes;
	bool is_connected = db_is_connected(worker->db);

	if (is_connected != atomic_load_explicit(&worker->slot->is_connected, memory_order_relaxed))
		atomic_store(&worker->slot->is_connected, is_connected);
	if (!is_connected)
		return process_table_is_another_connected(processes, worker->setup->slot);
	return lookups_are_late(&worker->lookups) &&
	       process_table_is_another_answered(processes, worker->setup->slot, LOOKUP_LATE_MS);
}

static bool forwards(const struct app_preview *preview)
{
	(void)preview;
	return false;
}

static bool is_closing(const struct worker *worker)
{
	return atomic_load(&worker->setup->board->master.is_closing);
}

/*
 * When others go on listening, what waits in the listening sockets is theirs; when the daemon ends, it is served. The
 * next binary has a handoff queue of its own, so this one's is emptied in any case.
 */
static void begin_to_stop(struct worker *worker)
{
	admission_drain_backlog(worker, is_closing(worker) ? BACKLOG_ALL : BACKLOG_HANDOFFS);
}

/* There may have been more than it can hold. */
static void take_remaining(struct worker *worker)
{
	admission_drain_backlog(worker, is_closing(worker) ? BACKLOG_OWN : BACKLOG_HANDOFFS);
}

static bool is_unneeded(const struct worker *worker)
{
	(void)worker;
	return false;
}

const struct worker_role regular_role = {
	.open = open_services,
	.defer_accept = defer_accept,
	.forwards = forwards,
	.begin_to_stop = begin_to_stop,
	.take_remaining = take_remaining,
	.is_unneeded = is_unneeded,
	.poll_ms = -1,
	.uses_permits = true,
	.takes_handoffs = true,
};
