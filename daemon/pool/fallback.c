/* The role of the fallback worker. */
#include "pool/fallback.h"

#include "base/clock.h"
#include "pool/forwarding.h"

/* How often it checks whether it is needed, and after how long of not being needed it ends. */
#define CHECK_MS 100
#define IDLE_MS  2000

static int open_services(struct worker *worker)
{
	(void)worker;
	return 0;
}

static bool defer_accept(struct worker *worker)
{
	bool is_needed = process_table_are_workers_busy(&worker->setup->board->processes);

	if (is_needed)
		worker->needed_until = clock_monotonic_ms() + IDLE_MS;
	return !is_needed;
}

static bool takes(const struct worker *worker, enum handoff_queue queue)
{
	(void)worker;
	(void)queue;
	return false;
}

static enum handoff_queue queue_for(const struct worker *worker, const struct conn *conn)
{
	(void)worker;
	return conn->preview.needs_no_database && !conn->preview.is_foreign ? HANDOFF_NONE : HANDOFF_ANY;
}

static void begin_to_stop(struct worker *worker)
{
	for (struct conn *conn = worker->conns.first; conn != NULL; conn = conn->next) {
		if (conn->state == CONN_READING)
			forward(worker, conn, HANDOFF_ANY);
	}
}

/* What waits in the listening sockets and in the handoff queue is for regular workers. */
static void take_remaining(struct worker *worker)
{
	(void)worker;
}

static bool is_unneeded(const struct worker *worker)
{
	return worker->conns.count == 0 && clock_until_ms(worker->needed_until) == 0;
}

const struct worker_role fallback_role = {
	.open = open_services,
	.defer_accept = defer_accept,
	.takes = takes,
	.queue_for = queue_for,
	.begin_to_stop = begin_to_stop,
	.take_remaining = take_remaining,
	.is_unneeded = is_unneeded,
	.poll_ms = CHECK_MS,
	.waits_only_for_heads = true,
};
