/* The role of a guard worker. */
#include "pool/guard.h"

#include "base/clock.h"
#include "pool/serving.h"

static int open_services(struct worker *worker)
{
	/* The guard worker before this one may have left some. */
	worker->look_for_overdue_at = clock_monotonic_ms();
	return serving_open(worker);
}

static bool takes(const struct worker *worker, enum handoff_queue queue)
{
	(void)worker;
	return queue != HANDOFF_FOREIGN;
}

static enum handoff_queue queue_for(const struct worker *worker, const struct conn *conn)
{
	(void)worker;
	return conn->preview.is_foreign ? HANDOFF_FOREIGN : HANDOFF_NONE;
}

const struct worker_role guard_role = {
	.open = open_services,
	.defer_accept = serving_defers,
	.takes = takes,
	.queue_for = queue_for,
	.begin_to_stop = serving_begin_to_stop,
	.take_remaining = serving_take_remaining,
	.is_unneeded = serving_is_unneeded,
	.poll_ms = -1,
	.uses_permits = true,
};
