/* What the roles of workers share that have a database connection and a channel to the hasher. */
#include "pool/serving.h"

#include "pool/admission.h"
#include "pool/hashing.h"
#include "session/db.h"

int serving_open(struct worker *worker)
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
bool serving_defers(struct worker *worker)
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

static bool is_closing(const struct worker *worker)
{
	return atomic_load(&worker->setup->board->master.is_closing);
}

/*
 * When others go on listening, what waits in the listening sockets is theirs; when the daemon ends, it is served. The
 * next binary has handoff queues of its own, so these are emptied in any case.
 */
void serving_begin_to_stop(struct worker *worker)
{
	admission_drain_backlog(worker, is_closing(worker) ? BACKLOG_ALL : BACKLOG_HANDOFFS);
}

/*
 * There may have been more than it can hold. Of foreign requests, which may take long, each of the last workers takes
 * one at a time.
 */
void serving_take_remaining(struct worker *worker)
{
	admission_drain_backlog(worker, is_closing(worker) ? BACKLOG_OWN : BACKLOG_HANDOFFS);
	if (worker->conns.count == 0 && worker_is_last(worker) && worker->role->takes(worker, HANDOFF_FOREIGN))
		(void)admission_take_handoff(worker, HANDOFF_FOREIGN);
}

bool serving_is_unneeded(const struct worker *worker)
{
	(void)worker;
	return false;
}
