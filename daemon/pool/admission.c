/* Admission: when a worker listens, and which connections it accepts. */
#include "pool/admission.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/accept_permits.h"
#include "pool/reading.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* When there are no more descriptors or memory, accepting pauses this long. */
#define ACCEPT_REST_MS 100
/* How often a guard worker looks whether the foreign requests that it has forwarded still wait. */
#define LOOK_FOR_OVERDUE_MS 100

/* ---- Listening ---------------------------------------------------------------------------------------------- */

/* EPOLLEXCLUSIVE: a connection wakes one of the workers that wait for it and not all of them. */
static void set_watched(const struct worker *worker, bool *is_watched, bool on, int fd, const void *what)
{
	if (*is_watched != on)
		worker_watch(worker, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, EPOLLIN | EPOLLEXCLUSIVE, what);
	*is_watched = on;
}

static void set_listening(struct worker *worker, bool on)
{
	const struct listeners *listeners = worker->setup->listeners;

	for (size_t i = 0; i < listeners->count && worker->is_listening != on; i++)
		worker_watch(worker, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listeners->all[i].fd, EPOLLIN | EPOLLEXCLUSIVE,
		             worker);
	worker->is_listening = on;
}

void admission_update(struct worker *worker)
{
	bool is_willing = !worker->role->defer_accept(worker) && !worker->stopping && worker->runnable.count == 0;
	const struct worker_setup *setup = worker->setup;

	if (worker->accept_again_at != 0 && clock_until_ms(worker->accept_again_at) == 0)
		worker->accept_again_at = 0;
	is_willing = is_willing && worker->accept_again_at == 0;
	for (enum handoff_queue queue = 0; queue < HANDOFF_QUEUES; queue++)
		set_watched(worker, &worker->is_taking[queue], is_willing && worker->role->takes(worker, queue),
		            setup->handoffs->ends[queue][0], setup->handoffs->ends[queue]);
	if (!worker->role->uses_permits) {
		set_listening(worker, is_willing);
		return;
	}
	if (!is_willing && worker->has_permit)
		worker_set_permit(worker, false);
	else if (is_willing && !worker->has_permit && accept_permits_take(setup->accept_permits))
		worker_set_permit(worker, true);
	set_listening(worker, worker->has_permit && worker_has_room(worker));
	set_watched(worker, &worker->is_waiting_for_permit, is_willing && !worker->has_permit, setup->accept_permits,
	            &setup->accept_permits);
}

/* ---- Accepting ---------------------------------------------------------------------------------------------- */

static void add_conn(struct worker *worker, int fd, int64_t connected_us, int64_t queued_us)
{
	const struct settings *settings = worker->settings;
	struct conn *conn;

	if (worker->conns.count >= CONNS_MAX)
		reading_close_oldest(worker, NULL, false);
	conn = conns_add(&worker->conns, fd, settings->server.io_timeout, (size_t)settings->server.max_body);
	if (conn == NULL)
		return;
	fcgi_plan_body(conn->fcgi, app_plan_body, worker->app);
	/* Whether it is to be forwarded is known by then. */
	if (worker->role->waits_only_for_heads || worker->app->keeps_guards)
		fcgi_wait_for_head_only(conn->fcgi);
	conn->deadline = clock_monotonic_ms() + settings->server.io_timeout;
	conn->times.connected = connected_us;
	conn->times.queued_us = queued_us;
	conn->busy_then = worker->busy_us;
	if (!worker->is_draining)
		reading_inspect(worker, conn, false);
}

/* Returns false when no connection waits to be accepted. */
static bool accept_from(struct worker *worker, int listening)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	int fd = accept4(listening, (struct sockaddr *)&address, &size, SOCK_CLOEXEC);

	if (fd >= 0 && !acl_allows(worker->setup->generation->acl, fd, &address)) {
		log_warning("peer_refused", LOG_STR("hint", "see server.allowed_clients and server.allowed_users"));
		close(fd);
		return true;
	}
	if (fd >= 0) {
		add_conn(worker, fd, clock_monotonic_us(), 0);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		log_error("accept_failed", LOG_STR("problem", strerror(errno)), LOG_INT("rest_ms", ACCEPT_REST_MS));
		worker->accept_again_at = clock_monotonic_ms() + ACCEPT_REST_MS;
		return false;
	}
	return errno == ECONNABORTED || errno == EINTR;
}

/* As long as they are quick requests, more than one: their sessions are looked up together. */
static void accept_some(struct worker *worker, int listening)
{
	unsigned int taken = 0;

	while (accept_from(worker, listening) && worker_has_room(worker) && ++taken < RULE_KEYS_MAX)
		;
}

void admission_accept(struct worker *worker)
{
	const struct listeners *listeners = worker->setup->listeners;

	for (size_t i = 0; i < listeners->count; i++)
		accept_some(worker, listeners->all[i].fd);
}

bool admission_take_handoff(struct worker *worker, enum handoff_queue queue)
{
	struct handoff handoff;

	if (!handoff_take(worker->setup->handoffs->ends[queue][0], &handoff))
		return false;
	add_conn(worker, handoff.fd, handoff.connected_us, clock_monotonic_us() - handoff.left_us);
	return true;
}

void admission_take_overdue(struct worker *worker)
{
	struct handoff first;
	bool is_there;

	if (worker->look_for_overdue_at == 0 || clock_until_ms(worker->look_for_overdue_at) > 0)
		return;
	/* Another worker may take the first one meanwhile; the one behind it is then forwarded once more. */
	while ((is_there = handoff_peek(worker->setup->handoffs->ends[HANDOFF_FOREIGN][0], &first)) &&
	       reading_is_overdue(worker, first.connected_us) && admission_take_handoff(worker, HANDOFF_FOREIGN))
		;
	worker->look_for_overdue_at = is_there ? clock_monotonic_ms() + LOOK_FOR_OVERDUE_MS : 0;
}

void admission_drain_backlog(struct worker *worker, enum backlog backlog)
{
	const struct listeners *listeners = worker->setup->listeners;
	struct conn *next;

	worker->is_draining = true;
	for (enum handoff_queue queue = 0; queue < HANDOFF_QUEUES; queue++) {
		if (queue == HANDOFF_FOREIGN || !worker->role->takes(worker, queue))
			continue;
		while (worker->conns.count < CONNS_MAX && admission_take_handoff(worker, queue))
			;
	}
	for (size_t i = 0; i < listeners->count && backlog != BACKLOG_HANDOFFS; i++) {
		if (backlog == BACKLOG_OWN && listeners->all[i].own_path == NULL)
			continue;
		while (worker->conns.count < CONNS_MAX && accept_from(worker, listeners->all[i].fd))
			;
	}
	worker->is_draining = false;
	for (struct conn *conn = worker->conns.first; conn != NULL; conn = next) {
		next = conn->next;
		if (conn->state == CONN_READING && !conn->is_watched)
			reading_inspect(worker, conn, false);
	}
}
