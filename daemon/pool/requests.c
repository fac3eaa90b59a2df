/* Answering requests. */
#include "pool/requests.h"

#include "api/receiving.h"
#include "api/streams.h"
#include "base/clock.h"
#include "pool/admission.h"
#include "pool/forwarding.h"
#include "pool/hashing.h"

#include <sodium.h>
#include <sys/epoll.h>

/* Uploads that are under way at the same time in a worker: each may hold descriptors for all parts of a form. */
#define UPLOADS_MAX 64
/* Of all connections that a worker can have, as many may have a reader who takes his time. */
#define STREAMS_MAX (CONNS_MAX / 2)
/* The pace of an upload is an average over so many server.io_timeout: networks have their pauses. */
#define PACE_TIMEOUTS 4

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

static void look_up(struct worker *worker, struct conn *conn)
{
	if (conn->req != NULL)
		conn->preview = *app_preview_of(conn->req);
	lookups_add(&worker->lookups, conn);
}

/* ---- Bodies and answers that are streamed ------------------------------------------------------------------- */

/* One that comes byte by byte would keep its place from others for ever. */
static bool keeps_pace(const struct worker *worker, struct conn *conn)
{
	int64_t idle_us = worker_idle_us(worker), bytes = app_received(conn->req);
	int64_t period_ms = PACE_TIMEOUTS * worker->settings->server.io_timeout;
	int64_t wanted = worker->settings->server.upload_rate * period_ms / 1000;
	bool is_quick = bytes - conn->pace_bytes >= wanted;

	if (idle_us - conn->pace_us < period_ms * 1000)
		return true;
	conn->pace_us = idle_us;
	conn->pace_bytes = bytes;
	return is_quick;
}

static void await_body(struct worker *worker, struct conn *conn)
{
	if (conn->state != CONN_RECEIVING) {
		if (worker->conns.by_state[CONN_RECEIVING] >= UPLOADS_MAX) {
			request_take_step(worker, conn, app_refuse_receiving(conn->req));
			return;
		}
		conn_set_state(conn, CONN_RECEIVING);
		conn->pace_us = worker_idle_us(worker);
		worker_watch_conn(worker, conn, EPOLLIN);
	} else if (!keeps_pace(worker, conn)) {
		request_end_receiving(worker, conn);
		return;
	}
	conn->deadline = clock_monotonic_ms() + worker->settings->server.io_timeout;
	conn->is_late = false;
}

void request_receive(struct worker *worker, struct conn *conn)
{
	enum app_step step;

	worker_set_busy(worker, &conn->preview);
	/* It may have to wait for the disk. */
	worker_set_permit(worker, false);
	step = app_receive(conn->req);
	if (step != APP_RECEIVE)
		worker_unwatch_conn(worker, conn);
	request_take_step(worker, conn, step);
	worker_set_idle(worker);
}

void request_end_receiving(struct worker *worker, struct conn *conn)
{
	worker_unwatch_conn(worker, conn);
	request_take_step(worker, conn, app_give_up_receiving(conn->req));
}

static void await_room(struct worker *worker, struct conn *conn)
{
	if (conn->state != CONN_STREAMING) {
		if (worker->conns.by_state[CONN_STREAMING] >= STREAMS_MAX) {
			request_take_step(worker, conn, app_refuse_stream(conn->req));
			return;
		}
		conn_set_state(conn, CONN_STREAMING);
		worker_watch_conn(worker, conn, EPOLLOUT);
	}
	conn->deadline = clock_monotonic_ms() + worker->settings->server.io_timeout;
	conn->is_late = false;
}

void request_stream(struct worker *worker, struct conn *conn)
{
	bool waits = app_stream_waits(conn->req);
	enum app_step step;

	/* As with a handler: what others wait for comes first. */
	if (waits && !lookups_are_idle(&worker->lookups)) {
		worker_unwatch_conn(worker, conn);
		conn->deadline = INT64_MAX;
		conn_queue_put(&worker->paused, conn);
		return;
	}
	worker_set_busy(worker, &conn->preview);
	if (waits)
		worker_set_permit(worker, false);
	step = app_stream(conn->req);
	if (step != APP_STREAM)
		worker_unwatch_conn(worker, conn);
	request_take_step(worker, conn, step);
	worker_set_idle(worker);
}

void requests_resume_stream(struct worker *worker)
{
	struct conn *conn = lookups_are_idle(&worker->lookups) ? conn_queue_take(&worker->paused) : NULL;

	if (conn == NULL)
		return;
	worker_watch_conn(worker, conn, EPOLLOUT);
	request_stream(worker, conn);
}

/* ---- Steps -------------------------------------------------------------------------------------------------- */

void request_take_step(struct worker *worker, struct conn *conn, enum app_step step)
{
	switch (step) {
	case APP_LOOKUP: look_up(worker, conn); break;
	case APP_RUN: run(worker, conn); break;
	case APP_QUEUE: make_runnable(worker, conn); break;
	case APP_RECEIVE: await_body(worker, conn); break;
	case APP_HASH: hash(worker, conn); break;
	case APP_STREAM: await_room(worker, conn); break;
	case APP_SEND: finish(worker, conn); break;
	case APP_DROP: conns_remove(&worker->conns, conn); break;
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

		if (conn->req != NULL)
			app_take_lookup(conn->req, &conn->lookup, conn->times.lookup_us);
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
	worker_unwatch_conn(worker, conn);
	conn->has_hung_up = true;
	if (!hashing_cancel(worker, conn))
		conns_remove(&worker->conns, conn);
}
