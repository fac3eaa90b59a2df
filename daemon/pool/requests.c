/* Answering requests. */
#include "pool/requests.h"

#include "base/clock.h"
#include "pool/forwarding.h"
#include "pool/hashing.h"

#include <sodium.h>
#include <sys/epoll.h>

/* The request is answered: close the connection, or keep it until the peer has sent the rest, which is not read. */
static void finish(struct worker *worker, struct conn *conn)
{
	(void)app_close(conn->req);
	atomic_fetch_add_explicit(&worker->slot->requests, 1, memory_order_relaxed);
	if (worker->requests_left > 0 && --worker->requests_left == 0)
		atomic_store(&worker->slot->wants_recycling, true);
	if (fcgi_drained(conn->fcgi)) {
		conns_remove(&worker->conns, conn);
		return;
	}
	conn_set_state(conn, CONN_DRAINING);
	conn->deadline = clock_monotonic_ms() + worker->settings->server.io_timeout;
	worker_watch_conn(worker, conn, EPOLLIN);
}

/* False when it cannot be: the connection is closed then. */
static bool open_request(struct worker *worker, struct conn *conn)
{
	conn->req = app_open(worker->app, conn->fcgi, &conn->preview,
	                     conn->preview.key_count > 0 ? &conn->lookup : NULL, &conn->times);
	if (conn->req != NULL)
		return true;
	conn->fcgi = NULL;
	conns_remove(&worker->conns, conn);
	return false;
}

/* Open it, unless it has run before, and run its handler. */
static void run(struct worker *worker, struct conn *conn)
{
	worker_set_busy(worker, &conn->preview);
	if (conn->req != NULL || open_request(worker, conn))
		request_take_step(worker, conn, app_run(conn->req));
	worker_set_idle(worker);
}

static void make_runnable(struct worker *worker, struct conn *conn)
{
	conn_set_state(conn, CONN_RUNNABLE);
	conn->deadline = INT64_MAX;
	conn->runnable_us = clock_monotonic_us();
	conn_queue_put(&worker->runnable, conn);
}

static void hash(struct worker *worker, struct conn *conn)
{
	uint32_t rank;
	const struct password_job *job = app_job(conn->req, &rank);

	if (!hashing_start(worker, conn, job, rank))
		request_take_step(worker, conn, app_hashed(conn->req, NULL));
}

void request_take_step(struct worker *worker, struct conn *conn, enum app_step step)
{
	switch (step) {
	case APP_LOOKUP: lookups_add(&worker->lookups, conn); break;
	case APP_RUN: run(worker, conn); break;
	case APP_QUEUE: make_runnable(worker, conn); break;
	case APP_HASH: hash(worker, conn); break;
	case APP_SEND: finish(worker, conn); break;
	}
}

void requests_run_next(struct worker *worker)
{
	struct app_times *times;
	struct conn *conn;

	if (!lookups_are_idle(&worker->lookups))
		return;
	conn = conn_queue_take(&worker->runnable);
	if (conn == NULL)
		return;
	times = conn->req != NULL ? &conn->req->times : &conn->times;
	if (times->began == 0)
		times->began = clock_monotonic_us();
	else
		times->parked_us += clock_monotonic_us() - conn->runnable_us;
	/* It may have become runnable since listening was last updated. */
	worker_set_permit(worker, false);
	forward_others(worker, conn);
	run(worker, conn);
}

/* ---- Look-ups ----------------------------------------------------------------------------------------------- */

static void answer_batch(struct worker *worker, const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct conn *conn = batch->conns[i];
		enum app_step step = app_looked_up(worker->app, &conn->preview, &conn->lookup);

		if (step == APP_QUEUE && !batch_keep_lookup(conn))
			conns_remove(&worker->conns, conn);
		else
			request_take_step(worker, conn, step);
	}
}

void requests_proceed_with_lookups(struct worker *worker)
{
	struct batch *batch = lookups_proceed(&worker->lookups);

	if (batch == NULL)
		return;
	answer_batch(worker, batch);
	batch_clear(batch);
}

/* ---- Hashing ------------------------------------------------------------------------------------------------ */

/* The client is asked to try again, if there still is one. */
static void give_up_hashing(struct worker *worker, struct conn *conn)
{
	if (conn->has_hung_up)
		conns_remove(&worker->conns, conn);
	else
		request_take_step(worker, conn, app_hashed(conn->req, NULL));
}

void requests_take_hash_results(struct worker *worker)
{
	struct hash_result result;
	struct conn *conn;

	while ((conn = hashing_next(worker, &result)) != NULL) {
		if (result.outcome == HASH_DONE)
			request_take_step(worker, conn, app_hashed(conn->req, &result.answer));
		else
			give_up_hashing(worker, conn);
	}
	sodium_memzero(&result, sizeof result);
}

void request_end_hashing(struct worker *worker, struct conn *conn)
{
	if (!conn->is_cancelled && hashing_cancel(worker, conn))
		return;
	conn_set_state(conn, CONN_RUNNABLE);
	give_up_hashing(worker, conn);
}

void request_hang_up(struct worker *worker, struct conn *conn)
{
	worker_watch(worker, EPOLL_CTL_DEL, fcgi_fd(conn->fcgi), 0, conn);
	conn->is_watched = false;
	conn->has_hung_up = true;
	if (!hashing_cancel(worker, conn))
		conns_remove(&worker->conns, conn);
}
