/* Leaving accepted connections to another worker. */
#include "pool/forwarding.h"

#include "base/clock.h"
#include "pool/handoff.h"

#include <sys/epoll.h>

void forward(struct worker *worker, struct conn *conn)
{
	/* Closing our descriptor would not take it out of the set: another process has one, too. */
	if (conn->is_watched)
		worker_watch(worker, EPOLL_CTL_DEL, fcgi_fd(conn->fcgi), 0, conn);
	conn->is_watched = false;
	conn->left_us = clock_monotonic_us();
	conn->deadline = INT64_MAX;
	conn_set_state(conn, CONN_FORWARDING);
}

/* False when there is no room for it at the moment. */
static bool hand_over(struct worker *worker, struct conn *conn)
{
	const struct handoff handoff = {
		.fd = fcgi_fd(conn->fcgi), .connected_us = conn->times.connected, .left_us = conn->left_us};

	if (!handoff_put(worker->setup->handoff[1], &handoff))
		return false;
	conns_remove(&worker->conns, conn);
	return true;
}

void forward_pending(struct worker *worker)
{
	bool has_room = worker->conns.by_state[CONN_FORWARDING] > 0;
	struct conn *next;

	for (struct conn *conn = worker->conns.first; conn != NULL && has_room; conn = next) {
		next = conn->next;
		if (conn->state == CONN_FORWARDING)
			has_room = hand_over(worker, conn);
	}
}

void forward_runnable(struct worker *worker)
{
	struct conn_queue kept = {0};
	struct conn *conn;

	if (!worker->role->takes_handoffs || worker->runnable.count == 0 ||
	    !process_table_is_another_answered(&worker->setup->board->processes, worker->setup->slot, LOOKUP_LATE_MS))
		return;
	while ((conn = conn_queue_take(&worker->runnable)) != NULL) {
		if (conn->req == NULL && conn->held == 0)
			forward(worker, conn);
		else
			conn_queue_put(&kept, conn);
	}
	worker->runnable = kept;
	forward_pending(worker);
}
