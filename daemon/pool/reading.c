/* Reading requests. */
#include "pool/reading.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/forwarding.h"
#include "pool/requests.h"

#include <sys/epoll.h>

/* Memory for all bodies that are being read, at least; there is always room for several of the largest allowed. */
#define BODIES_MAX      ((size_t)16 * 1024 * 1024)
#define BODIES_MAX_OVER 4
/* A foreign request waits for a worker for this share of the time that it may then run. */
#define FOREIGN_WAIT_SHARE 2

bool reading_is_overdue(const struct worker *worker, int64_t connected_us)
{
	return clock_monotonic_us() - connected_us >
	       worker->settings->server.request_timeout * 1000 / FOREIGN_WAIT_SHARE;
}

/* Its answer is that it cannot be served now. */
static void turn_away(struct conn *conn)
{
	conn->step = app_turn_away(&conn->preview);
	conn->is_settled = true;
}

static bool is_left_too_long(const struct worker *worker, const struct conn *conn)
{
	return conn->preview.is_foreign && conn->times.queued_us > 0 &&
	       reading_is_overdue(worker, conn->times.connected);
}

/* The head is there: is it for this worker? False when it is not: it has been forwarded. */
static bool settle(struct worker *worker, struct conn *conn)
{
	enum handoff_queue queue;

	conn->step = app_preview(worker->app, conn->fcgi, &conn->preview);
	queue = worker->role->queue_for(worker, conn);
	conn->is_settled = queue == HANDOFF_NONE;
	if (is_left_too_long(worker, conn)) {
		turn_away(conn);
	} else if (queue == HANDOFF_FOREIGN) {
		if (worker->look_for_overdue_at == 0)
			worker->look_for_overdue_at = clock_monotonic_ms();
		if (forward_now(worker, conn, queue))
			return false;
		turn_away(conn);
	} else if (queue != HANDOFF_NONE) {
		forward(worker, conn, queue);
	}
	return conn->is_settled;
}

static bool is_complete(const struct worker *worker, const struct conn *conn)
{
	return worker->role->waits_only_for_heads || conn->preview.is_turned_away || fcgi_is_whole(conn->fcgi);
}

/* The request is complete. */
static void dispatch(struct worker *worker, struct conn *conn)
{
	conn->times.received = clock_monotonic_us();
	conn->times.queued_us += worker->busy_us - conn->busy_then;
	conn->deadline = INT64_MAX;
	if (conn->step == APP_RUN)
		conn->times.began = conn->times.received;
	request_take_step(worker, conn, conn->step);
}

static size_t bodies_max(const struct worker *worker)
{
	size_t several = BODIES_MAX_OVER * routes_largest_body(worker->app);

	return several > BODIES_MAX ? several : BODIES_MAX;
}

void reading_close_oldest(struct worker *worker, const struct conn *but, bool holds_memory)
{
	struct conn *oldest = conns_oldest_waiting(&worker->conns, but, holds_memory);

	if (oldest == NULL)
		return;
	if (oldest->state == CONN_READING)
		log_warning("request_refused",
		            LOG_STR("problem", "it was slow to arrive, and there is no room for more of them"));
	conns_remove(&worker->conns, oldest);
}

/* More of it is to come. */
static void await_more(struct worker *worker, struct conn *conn)
{
	/* What was inspected stays in the socket, so only new data is of interest: edge-triggered. */
	if (!conn->is_watched)
		worker_watch_conn(worker, conn, EPOLLIN | EPOLLRDHUP | EPOLLET);
	conns_note_held(&worker->conns, conn);
	/* From the body on it is the client that is slow, not the web server. */
	if (conn->held > 0 && !conn->has_head) {
		conn->has_head = true;
		conn->deadline = conn->times.connected / 1000 + worker->settings->server.request_timeout;
	}
	/* That is never less, and goes through all routes. */
	while (worker->conns.held > BODIES_MAX && worker->conns.held > bodies_max(worker) &&
	       conns_oldest_waiting(&worker->conns, conn, true) != NULL)
		reading_close_oldest(worker, conn, true);
}

void reading_inspect(struct worker *worker, struct conn *conn, bool has_ended)
{
	enum fcgi_progress progress = fcgi_inspect(conn->fcgi);

	if (progress == FCGI_READY && !conn->is_settled) {
		if (!settle(worker, conn))
			return;
		if (!is_complete(worker, conn)) {
			fcgi_wait_for_body(conn->fcgi);
			progress = fcgi_inspect(conn->fcgi);
		}
	}
	if (progress == FCGI_WAIT && has_ended)
		progress = FCGI_CLOSED;
	switch (progress) {
	case FCGI_READY: dispatch(worker, conn); break;
	case FCGI_WAIT: await_more(worker, conn); break;
	case FCGI_BROKEN:
		log_warning("request_refused", LOG_STR("problem", fcgi_defect(conn->fcgi)));
		conns_remove(&worker->conns, conn);
		break;
	default: conns_remove(&worker->conns, conn); break;
	}
}
