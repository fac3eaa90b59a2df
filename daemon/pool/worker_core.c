/* What the files of a worker share. */
#include "pool/worker_core.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/accept_permits.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

void worker_watch(const struct worker *worker, int operation, int fd, uint32_t events, const void *what)
{
	struct epoll_event event = {.events = events, .data = {.ptr = (void *)(uintptr_t)what}};

	if (epoll_ctl(worker->epoll, operation, fd, &event) != 0)
		log_error("epoll_failed", LOG_STR("problem", strerror(errno)));
}

void worker_watch_conn(const struct worker *worker, struct conn *conn, uint32_t events)
{
	worker_watch(worker, conn->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fcgi_fd(conn->fcgi), events, conn);
	conn->is_watched = true;
}

void worker_unwatch_conn(const struct worker *worker, struct conn *conn)
{
	/* Closing our descriptor would not take it out of the set where another process has one, too. */
	if (conn->is_watched)
		worker_watch(worker, EPOLL_CTL_DEL, fcgi_fd(conn->fcgi), 0, conn);
	conn->is_watched = false;
}

bool worker_has_room(const struct worker *worker)
{
	return worker->runnable.count == 0 && lookups_have_room(&worker->lookups);
}

bool worker_is_last(const struct worker *worker)
{
	return atomic_load_explicit(&worker->setup->board->master.is_ending, memory_order_relaxed);
}

/* ---- On the scoreboard -------------------------------------------------------------------------------------- */

/*
 * What the master reads together (supervision.c) is never of two requests: none is shown while the time-out changes.
 * `timeout_ms` is a route's, 0: server.request_timeout.
 */
static void set_state(struct worker *worker, enum worker_state state, int64_t request_began_ms, int64_t timeout_ms)
{
	atomic_store_explicit(&worker->slot->state, (int)state, memory_order_relaxed);
	if (atomic_load_explicit(&worker->slot->timeout_ms, memory_order_relaxed) != timeout_ms) {
		atomic_store(&worker->slot->request_began_ms, 0);
		atomic_store(&worker->slot->timeout_ms, timeout_ms);
		atomic_store(&worker->slot->request_began_ms, request_began_ms);
		return;
	}
	atomic_store_explicit(&worker->slot->request_began_ms, request_began_ms, memory_order_relaxed);
}

static void set_request(struct worker *worker, const struct app_preview *preview)
{
	atomic_store_explicit(&worker->slot->route, preview->route, memory_order_relaxed);
	atomic_store_explicit(&worker->slot->method, preview->method, memory_order_relaxed);
}

/*
 * As long as a look-up is under way, it is what the scoreboard shows, whichever request is answered meanwhile: one that
 * takes longer than a request may is as much a reason to replace the worker as a handler that does. Without room for
 * more, the worker is busy. False when no connection waits for a look-up.
 */
static bool set_lookup(struct worker *worker)
{
	const struct conn *conn = lookups_first(&worker->lookups);
	enum worker_state state = worker_has_room(worker) ? WORKER_WAITING : WORKER_BUSY;

	if (conn == NULL)
		return false;
	set_request(worker, &conn->preview);
	set_state(worker, worker->stopping ? WORKER_STOPPING : state, worker->lookups.sent_us / 1000, 0);
	return true;
}

void worker_set_idle(struct worker *worker)
{
	if (worker->busy_since_us != 0)
		worker->busy_us += clock_monotonic_us() - worker->busy_since_us;
	worker->busy_since_us = 0;
	if (!set_lookup(worker))
		set_state(worker, worker->stopping ? WORKER_STOPPING : WORKER_IDLE, 0, 0);
}

int64_t worker_idle_us(const struct worker *worker)
{
	int64_t until = worker->busy_since_us != 0 ? worker->busy_since_us : clock_monotonic_us();

	return until - worker->busy_us;
}

void worker_set_busy(struct worker *worker, const struct app_preview *preview)
{
	if (worker->busy_since_us == 0)
		worker->busy_since_us = clock_monotonic_us();
	if (set_lookup(worker))
		return;
	set_request(worker, preview);
	set_state(worker, WORKER_BUSY, worker->busy_since_us / 1000, preview->timeout_ms);
}

void worker_set_stopping(struct worker *worker)
{
	worker->stopping = true;
	worker_set_idle(worker);
}

void worker_set_permit(struct worker *worker, bool has_permit)
{
	if (worker->has_permit && !has_permit)
		accept_permits_release(worker->setup->accept_permits);
	worker->has_permit = has_permit;
	atomic_store(&worker->slot->has_permit, has_permit);
}
