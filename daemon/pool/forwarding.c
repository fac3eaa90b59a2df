/* Leaving accepted connections to another worker. */
#include "pool/forwarding.h"

#include "base/clock.h"
#include "pool/handoff.h"

#include <sys/epoll.h>

void forward(struct worker *worker, struct conn *conn, enum handoff_queue queue)
{
	worker_unwatch_conn(worker, conn);
	conn->queue = queue;
	conn->left_us = clock_monotonic_us() - conn->times.queued_us;
	conn->deadline = INT64_MAX;
	conn_set_state(conn, CONN_FORWARDING);
}

/* False when there is no room for it at the moment. */
static bool hand_over(struct worker *worker, struct conn *conn)
{
	const struct handoff handoff = {
		.fd = fcgi_fd(conn->fcgi), .connected_us = conn->times.connected, .left_us = conn->left_us};

	if (!handoff_put(worker->setup->handoffs->ends[conn->queue][1], &handoff))
		return false;
	conns_remove(&worker->conns, conn);
	return true;
}

bool forward_now(struct worker *worker, struct conn *conn, enum handoff_queue queue)
{
	forward(worker, conn, queue);
	if (hand_over(worker, conn))
		return true;
	conn_set_state(conn, CONN_READING);
	return false;
}

void forward_pending(struct worker *worker)
{
	bool is_full[HANDOFF_QUEUES] = {false};
	struct conn *next;

	for (struct conn *conn = worker->conns.first; conn != NULL && worker->conns.by_state[CONN_FORWARDING] > 0;
	     conn = next) {
		const enum handoff_queue queue = conn->queue;

		next = conn->next;
		if (conn->state == CONN_FORWARDING && !is_full[queue])
			is_full[queue] = !hand_over(worker, conn);
	}
}

/* A peer that goes on and on without sending its request would be handed round for ever. */
static bool has_time_to_arrive(const struct worker *worker, const struct conn *conn)
{
	return clock_monotonic_us() - conn->times.connected < worker->settings->server.io_timeout * 1000;
}

static void forward_arriving(struct worker *worker)
{
	for (struct conn *conn = worker->conns.first; conn != NULL; conn = conn->next) {
		if (conn->state == CONN_READING && conn->held == 0 && has_time_to_arrive(worker, conn))
			forward(worker, conn, HANDOFF_ANY);
	}
}

static void forward_runnable(struct worker *worker)
{
	struct conn_queue kept = {0};
	struct conn *conn;

	while ((conn = conn_queue_take(&worker->runnable)) != NULL) {
		if (conn->req == NULL && conn->held == 0)
			forward(worker, conn, HANDOFF_ANY);
		else
			conn_queue_put(&kept, conn);
	}
	worker->runnable = kept;
}

static bool is_another_free(const struct worker *worker)
{
	return worker->role->takes(worker, HANDOFF_ANY) && worker->runnable.count > 0 &&
	       process_table_is_another_answered(&worker->setup->board->processes, worker->setup->slot, LOOKUP_LATE_MS);
}

void forward_others(struct worker *worker, const struct conn *next)
{
	bool is_apart = next->preview.is_foreign && !worker_is_last(worker);

	if (is_apart)
		forward_arriving(worker);
	if (is_apart || is_another_free(worker))
		forward_runnable(worker);
	forward_pending(worker);
}
