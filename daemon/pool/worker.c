#include "pool/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/conn.h"
#include "pool/handoff.h"
#include "pool/hash_channel.h"
#include "pool/look_ups.h"
#include "pool/sandbox.h"
#include "pool/seats.h"
#include "pool/signals_fd.h"
#include "session/db.h"

#include <errno.h>
#include <malloc.h>
#include <sodium.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections that a worker holds at once. When there are as many, the oldest that waits for its peer is closed. */
#define CONNS_MAX 256
/* Memory for all bodies that are on their way, at least; the largest that is taken has room several times. */
#define BODIES_MAX      ((size_t)16 * 1024 * 1024)
#define BODIES_MAX_OVER 4
/* Logins whose passwords are being looked at: more than the hasher lets wait, so that it is the one to choose. */
#define HASHING_MAX 192
/* The hasher itself ends the wait for a place; past this it is asked for what it has. */
#define HASHING_GRACE_MS 5000
/* And past that, which is longer than any hash takes, it does not answer at all. */
#define HASHING_LAST_MS 60000
/* A look-up that takes longer is a reason to leave connections to a colleague whose own does not. */
#define LATE_MS 20
/* When there are no more descriptors or memory, accepting rests this long. */
#define ACCEPT_REST_MS 100
/* As much unused memory stays a worker's own. */
#define KEPT_MEMORY (1024 * 1024)
/* Room for all connections and the few others: one look tells of everybody who is ready. */
#define EVENTS_MAX (CONNS_MAX + 32)
/* How often the attendant looks whether it is needed, and after how long of not being needed it goes. */
#define ATTENDANCE_MS      100
#define ATTENDANCE_IDLE_MS 2000
/* An attendant that cannot hand on a connection tries again this often. */
#define HANDOFF_REST_MS 10

struct worker {
	const struct worker_setup *setup;
	struct ones_app *app;
	const struct settings *settings;
	struct db *db; /* NULL: the attendant has none */
	struct worker_slot *slot;
	int epoll;
	struct conns conns;
	struct look_ups look_ups;
	struct line runnable;
	unsigned int hashing_count, forwarding_count;
	int hash_channel; /* -1: none */
	uint64_t last_hash_id;
	int64_t needed_until; /* the attendant goes then */
	bool has_seat;
	bool is_listening, is_waiting_for_seat, is_taking_handoffs; /* in the epoll set */
	int64_t accept_again_at;                                    /* 0: not resting */
	unsigned int db_watch_id;
	int64_t busy_since_us; /* 0: it is not */
	int64_t busy_us;       /* in all the times before */
	int64_t requests_left; /* until it wants to be relieved; -1: any number */
	int signals;           /* signals_fd.h */
	bool is_told;          /* to stop, by the master */
	bool is_gathering;     /* connections are taken, and looked at when all of them have been */
	bool stopping;
};

static void watch(const struct worker *worker, int operation, int fd, uint32_t events, const void *what)
{
	struct epoll_event event = {.events = events, .data = {.ptr = (void *)(uintptr_t)what}};

	if (epoll_ctl(worker->epoll, operation, fd, &event) != 0)
		log_error("epoll_failed", LOG_STR("problem", strerror(errno)));
}

static void watch_conn(const struct worker *worker, struct conn *conn, uint32_t events)
{
	watch(worker, conn->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fcgi_fd(conn->fcgi), events, conn);
	conn->is_watched = true;
}

/* ---- Listening ---------------------------------------------------------------------------------------------- */

/* EPOLLEXCLUSIVE: what has come wakes one of those that wait for it and not all of them. */
static void set_watched(const struct worker *worker, bool *is_watched, bool on, int fd, const void *what)
{
	if (*is_watched != on)
		watch(worker, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, EPOLLIN | EPOLLEXCLUSIVE, what);
	*is_watched = on;
}

static void set_listening(struct worker *worker, bool on)
{
	const struct listeners *listeners = worker->setup->listeners;

	for (size_t i = 0; i < listeners->count && worker->is_listening != on; i++)
		watch(worker, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listeners->all[i].fd, EPOLLIN | EPOLLEXCLUSIVE,
		      worker);
	worker->is_listening = on;
}

static void set_seated(struct worker *worker, bool on)
{
	if (worker->has_seat && !on)
		seats_give_back(worker->setup->seats);
	worker->has_seat = on;
	atomic_store(&worker->slot->has_seat, on);
}

/* For the attendant. */
static bool is_needed(struct worker *worker)
{
	bool are_all_busy = scoreboard_are_all_busy(worker->setup->board);

	if (are_all_busy)
		worker->needed_until = clock_monotonic_ms() + ATTENDANCE_IDLE_MS;
	return are_all_busy;
}

static bool is_late(const struct worker *worker)
{
	return look_ups_first(&worker->look_ups) != NULL &&
	       clock_until_ms(worker->look_ups.sent_us / 1000 + LATE_MS) == 0;
}

/* A worker without a database could only say so: it leaves connections to those that have one. */
static bool can_serve(struct worker *worker)
{
	bool is_connected;

	if (worker->setup->is_attendant)
		return is_needed(worker);
	is_connected = db_is_connected(worker->db);
	if (is_connected != atomic_load_explicit(&worker->slot->is_connected, memory_order_relaxed))
		atomic_store(&worker->slot->is_connected, is_connected);
	if (!is_connected)
		return !scoreboard_is_another_connected(worker->setup->board, worker->setup->slot);
	return !is_late(worker) || !scoreboard_is_another_answered(worker->setup->board, worker->setup->slot, LATE_MS);
}

static bool has_room(const struct worker *worker)
{
	return worker->runnable.count == 0 && worker->look_ups.waiting.count < RULE_KEYS_MAX;
}

/*
 * Before a handler that may wait is run, the seat is another's, who takes what comes. While a look-up is under way
 * there is nothing to wait for: what comes joins the next; and if too much has come, the rest waits where it is for a
 * moment.
 */
static void update_listening(struct worker *worker)
{
	bool is_attendant = worker->setup->is_attendant;
	bool is_willing = can_serve(worker) && !worker->stopping && worker->runnable.count == 0;

	if (worker->accept_again_at != 0 && clock_until_ms(worker->accept_again_at) == 0)
		worker->accept_again_at = 0;
	is_willing = is_willing && worker->accept_again_at == 0;
	if (is_attendant) {
		set_listening(worker, is_willing);
		return;
	}
	if (!is_willing && worker->has_seat)
		set_seated(worker, false);
	else if (is_willing && !worker->has_seat && seats_take(worker->setup->seats))
		set_seated(worker, true);
	set_listening(worker, worker->has_seat && has_room(worker));
	set_watched(worker, &worker->is_waiting_for_seat, is_willing && !worker->has_seat, worker->setup->seats,
	            &worker->setup->seats);
	set_watched(worker, &worker->is_taking_handoffs, is_willing, worker->setup->handoff[0],
	            &worker->setup->handoff);
}

static void forget(struct worker *worker, struct conn *conn)
{
	if (conn->state == CONN_HASHING)
		worker->hashing_count--;
	if (conn->state == CONN_FORWARDING)
		worker->forwarding_count--;
	conns_remove(&worker->conns, conn);
}

/* ---- Handing on --------------------------------------------------------------------------------------------- */

/* False when there is no room for it at the moment. */
static bool hand_on(struct worker *worker, struct conn *conn)
{
	const struct handoff handoff = {
		.fd = fcgi_fd(conn->fcgi), .connected_us = conn->times.connected, .left_us = conn->left_us};

	if (!handoff_put(worker->setup->handoff[1], &handoff))
		return false;
	forget(worker, conn);
	return true;
}

static void forward_pending(struct worker *worker)
{
	struct conn *next;

	for (struct conn *conn = worker->conns.first; conn != NULL; conn = next) {
		next = conn->next;
		if (conn->state == CONN_FORWARDING)
			(void)hand_on(worker, conn);
	}
}

static void forward(struct worker *worker, struct conn *conn)
{
	/* Closing our descriptor would not take it out of the set: another process has one, too. */
	if (conn->is_watched)
		watch(worker, EPOLL_CTL_DEL, fcgi_fd(conn->fcgi), 0, conn);
	conn->is_watched = false;
	conn->state = CONN_FORWARDING;
	conn->left_us = clock_monotonic_us();
	conn->deadline = INT64_MAX;
	worker->forwarding_count++;
}

/* Whoever would wait behind a handler is handed on, as long as another worker is free; what has been taken in stays. */
static void forward_runnable(struct worker *worker)
{
	struct line kept = {0};
	struct conn *conn;

	if (worker->setup->is_attendant || worker->runnable.count == 0 ||
	    !scoreboard_is_another_answered(worker->setup->board, worker->setup->slot, LATE_MS))
		return;
	while ((conn = line_take(&worker->runnable)) != NULL) {
		if (conn->req == NULL && conn->held == 0)
			forward(worker, conn);
		else
			line_add(&kept, conn);
	}
	worker->runnable = kept;
	forward_pending(worker);
}

/* ---- One request -------------------------------------------------------------------------------------------- */

static void set_state(struct worker *worker, enum worker_state state, int64_t request_began_ms)
{
	atomic_store_explicit(&worker->slot->state, (int)state, memory_order_relaxed);
	atomic_store_explicit(&worker->slot->request_began_ms, request_began_ms, memory_order_relaxed);
}

static void set_request(struct worker *worker, const struct app_preview *preview)
{
	atomic_store_explicit(&worker->slot->route, preview->route, memory_order_relaxed);
	atomic_store_explicit(&worker->slot->method, preview->method, memory_order_relaxed);
}

/*
 * As long as one is under way, that is what the worker is at, whomever it answers meanwhile: a look-up that takes
 * longer than a request may is as much a reason to start anew as a handler that does. With no room for more, it is
 * busy. False when nobody waits for one.
 */
static bool set_looking_up(struct worker *worker)
{
	const struct conn *conn = look_ups_first(&worker->look_ups);
	enum worker_state state = has_room(worker) ? WORKER_WAITING : WORKER_BUSY;

	if (conn == NULL)
		return false;
	set_request(worker, &conn->preview);
	set_state(worker, worker->stopping ? WORKER_STOPPING : state, worker->look_ups.sent_us / 1000);
	return true;
}

static void set_at_rest(struct worker *worker)
{
	if (worker->busy_since_us != 0)
		worker->busy_us += clock_monotonic_us() - worker->busy_since_us;
	worker->busy_since_us = 0;
	if (!set_looking_up(worker))
		set_state(worker, worker->stopping ? WORKER_STOPPING : WORKER_IDLE, 0);
}

static void set_busy(struct worker *worker, const struct app_preview *preview)
{
	if (worker->busy_since_us == 0)
		worker->busy_since_us = clock_monotonic_us();
	if (set_looking_up(worker))
		return;
	set_request(worker, preview);
	set_state(worker, WORKER_BUSY, worker->busy_since_us / 1000);
}

/* The request is answered: close the connection, or keep it until the peer has said what nobody listens to. */
static void finish(struct worker *worker, struct conn *conn)
{
	(void)app_close(conn->req);
	atomic_fetch_add_explicit(&worker->slot->requests, 1, memory_order_relaxed);
	if (worker->requests_left > 0 && --worker->requests_left == 0)
		atomic_store(&worker->slot->wants_relief, true);
	if (fcgi_drained(conn->fcgi)) {
		forget(worker, conn);
		return;
	}
	conn->state = CONN_DRAINING;
	conn->deadline = clock_monotonic_ms() + worker->settings->server.io_timeout;
	watch_conn(worker, conn, EPOLLIN);
}

static void refuse_busy(struct worker *worker, struct conn *conn)
{
	app_refuse_busy(conn->req);
	finish(worker, conn);
}

static void open_hash_channel(struct worker *worker)
{
	worker->hash_channel = hash_channel_open(worker->setup->hashing);
	if (worker->hash_channel >= 0)
		watch(worker, EPOLL_CTL_ADD, worker->hash_channel, EPOLLIN, &worker->hash_channel);
	else
		log_error("hasher_not_reached", LOG_STR("problem", strerror(errno)));
}

static void order_hash(struct worker *worker, struct conn *conn, const struct password_job *job, uint32_t rank)
{
	struct hash_order order = {.kind = HASH_ORDER_JOB, .rank = rank, .id = ++worker->last_hash_id, .job = *job};
	bool is_ordered;

	if (worker->hash_channel < 0)
		open_hash_channel(worker);
	is_ordered = worker->hashing_count < HASHING_MAX && hash_channel_order(worker->hash_channel, &order);
	sodium_memzero(&order, sizeof order);
	if (!is_ordered) {
		refuse_busy(worker, conn);
		return;
	}
	conn->id = worker->last_hash_id;
	conn->state = CONN_HASHING;
	conn->is_cancelled = false;
	conn->deadline = clock_monotonic_ms() + worker->settings->server.request_timeout + HASHING_GRACE_MS;
	worker->hashing_count++;
	/* Who hangs up meanwhile is not hashed, if that has not begun. */
	watch_conn(worker, conn, EPOLLRDHUP);
}

/* Run its handler, and answer unless that has to be run again. */
static void serve(struct worker *worker, struct conn *conn)
{
	const struct password_job *job;
	uint32_t rank;

	if (conn->req == NULL) {
		set_busy(worker, &conn->preview);
		conn->req = app_open(worker->app, conn->fcgi, &conn->preview,
		                     conn->preview.key_count > 0 ? &conn->look_up : NULL, &conn->times);
		if (conn->req == NULL)
			conn->fcgi = NULL;
	}
	if (conn->req == NULL) {
		set_at_rest(worker);
		forget(worker, conn);
		return;
	}
	set_busy(worker, &conn->preview);
	app_run(conn->req);
	job = app_job(conn->req, &rank);
	if (job != NULL)
		order_hash(worker, conn, job, rank);
	else
		finish(worker, conn);
	set_at_rest(worker);
}

static void make_runnable(struct worker *worker, struct conn *conn)
{
	conn->state = CONN_RUNNABLE;
	conn->deadline = INT64_MAX;
	conn->runnable_us = clock_monotonic_us();
	line_add(&worker->runnable, conn);
}

/* One handler that may wait, when nobody waits for a look-up: who comes meanwhile goes to the other workers. */
static void run_next(struct worker *worker)
{
	struct app_times *times;
	struct conn *conn;

	if (!look_ups_are_idle(&worker->look_ups))
		return;
	conn = line_take(&worker->runnable);
	if (conn == NULL)
		return;
	times = conn->req != NULL ? &conn->req->times : &conn->times;
	if (times->began == 0)
		times->began = clock_monotonic_us();
	else
		times->parked_us += clock_monotonic_us() - conn->runnable_us;
	/* It may have become runnable since we last looked who listens. */
	set_seated(worker, false);
	forward_runnable(worker);
	serve(worker, conn);
}

/* What the look-up found is needed for longer than the others of its batch are. False when out of memory. */
static bool keep_look_up(struct conn *conn)
{
	return conn->look_up.reading == NULL || talloc_reference(conn, conn->look_up.reading) != NULL;
}

/* Those that are quick, and wait for nobody who holds the account, are answered at once. */
static void answer_batch(struct worker *worker, const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct conn *conn = batch->conns[i];
		const struct app_look_up *look_up = &conn->look_up;
		bool is_settled = true;

		for (size_t key = 0; look_up->status == DB_OK && key < conn->preview.key_count; key++)
			is_settled = is_settled &&
			             rule_is_settled(&worker->app->rule, look_up->reading, look_up->first + key);
		if (conn->preview.is_quick && is_settled)
			serve(worker, conn);
		else if (keep_look_up(conn))
			make_runnable(worker, conn);
		else
			forget(worker, conn);
	}
}

static void proceed_with_look_ups(struct worker *worker)
{
	struct batch done;

	if (worker->db == NULL || !look_ups_can_proceed(&worker->look_ups))
		return;
	if (look_ups_proceed(&worker->look_ups, &done)) {
		answer_batch(worker, &done);
		talloc_free(done.ctx);
	}
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

/* The request is whole. */
static void dispatch(struct worker *worker, struct conn *conn)
{
	app_preview(worker->app, conn->fcgi, &conn->preview);
	conn->times.received = clock_monotonic_us();
	conn->times.queued_us += worker->busy_us - conn->busy_then;
	conn->deadline = INT64_MAX;
	if (worker->setup->is_attendant && !conn->preview.needs_no_database) {
		forward(worker, conn);
	} else if (conn->preview.key_count > 0) {
		look_ups_add(&worker->look_ups, conn);
	} else if (conn->preview.is_quick) {
		conn->times.began = conn->times.received;
		serve(worker, conn);
	} else {
		make_runnable(worker, conn);
	}
}

static size_t bodies_max(const struct worker *worker)
{
	size_t several = BODIES_MAX_OVER * (size_t)worker->settings->server.max_body;

	return several > BODIES_MAX ? several : BODIES_MAX;
}

static void close_oldest(struct worker *worker, const struct conn *but, bool holds_memory)
{
	struct conn *oldest = conns_oldest_waiting(&worker->conns, but, holds_memory);

	if (oldest == NULL)
		return;
	if (oldest->state == CONN_READING)
		log_warning("request_refused",
		            LOG_STR("problem", "it was slow, and there is no room for more of them"));
	forget(worker, oldest);
}

/* More of it is to come. */
static void await_more(struct worker *worker, struct conn *conn)
{
	/* What was looked at stays in the socket, so only news is of interest: edges. */
	if (!conn->is_watched)
		watch_conn(worker, conn, EPOLLIN | EPOLLRDHUP | EPOLLET);
	conns_note_held(&worker->conns, conn);
	/* It is the client that is slow from now on, not the web server. */
	if (conn->held > 0 && !conn->has_head) {
		conn->has_head = true;
		conn->deadline = conn->times.connected / 1000 + worker->settings->server.request_timeout;
	}
	while (worker->conns.held > bodies_max(worker) && conns_oldest_waiting(&worker->conns, conn, true) != NULL)
		close_oldest(worker, conn, true);
}

/* `has_ended`: the peer will send no more than what is there. */
static void inspect(struct worker *worker, struct conn *conn, bool has_ended)
{
	enum fcgi_progress progress = fcgi_inspect(conn->fcgi);

	if (progress == FCGI_WAIT && has_ended)
		progress = FCGI_CLOSED;
	switch (progress) {
	case FCGI_READY: dispatch(worker, conn); break;
	case FCGI_WAIT: await_more(worker, conn); break;
	case FCGI_BROKEN:
		log_warning("request_refused", LOG_STR("problem", fcgi_defect(conn->fcgi)));
		forget(worker, conn);
		break;
	default: forget(worker, conn); break;
	}
}

static void take_connection(struct worker *worker, int fd, int64_t connected_us, int64_t queued_us)
{
	const struct settings *settings = worker->settings;
	struct conn *conn;

	if (worker->conns.count >= CONNS_MAX)
		close_oldest(worker, NULL, false);
	conn = conns_add(&worker->conns, fd, settings->server.io_timeout, (size_t)settings->server.max_body);
	if (conn == NULL)
		return;
	if (worker->setup->is_attendant)
		fcgi_wait_for_head_only(conn->fcgi);
	conn->deadline = clock_monotonic_ms() + settings->server.io_timeout;
	conn->times.connected = connected_us;
	conn->times.queued_us = queued_us;
	conn->busy_then = worker->busy_us;
	if (!worker->is_gathering)
		inspect(worker, conn, false);
}

/* Returns false when nobody is waiting to be accepted. */
static bool accept_from(struct worker *worker, int listening)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	int fd = accept4(listening, (struct sockaddr *)&address, &size, SOCK_CLOEXEC);

	if (fd >= 0 && !peer_is_allowed(worker->setup->generation->peer_rules, fd, &address)) {
		log_warning("peer_refused", LOG_STR("hint", "see server.allowed_clients and server.allowed_users"));
		close(fd);
		return true;
	}
	if (fd >= 0) {
		take_connection(worker, fd, clock_monotonic_us(), 0);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		log_error("accept_failed", LOG_STR("problem", strerror(errno)), LOG_INT("rest_ms", ACCEPT_REST_MS));
		worker->accept_again_at = clock_monotonic_ms() + ACCEPT_REST_MS;
		return false;
	}
	return errno == ECONNABORTED || errno == EINTR;
}

/* Returns false when none was handed on. */
static bool accept_handed_on(struct worker *worker)
{
	struct handoff handoff;

	if (worker->setup->is_attendant || !handoff_take(worker->setup->handoff[0], &handoff))
		return false;
	take_connection(worker, handoff.fd, handoff.connected_us, clock_monotonic_us() - handoff.left_us);
	return true;
}

/* One connection, and as long as they are quick requests, more: their sessions are looked up together. */
static void accept_some(struct worker *worker, int listening)
{
	unsigned int taken = 0;

	while (accept_from(worker, listening) && has_room(worker) && ++taken < RULE_KEYS_MAX)
		;
}

/* ---- Hashing ------------------------------------------------------------------------------------------------ */

static struct conn *find_hashing(const struct worker *worker, uint64_t id)
{
	struct conn *conn = worker->conns.first;

	while (conn != NULL && (conn->state != CONN_HASHING || conn->id != id))
		conn = conn->next;
	return conn;
}

static void end_hashing(struct worker *worker, struct conn *conn, const struct hash_result *result)
{
	if (result->outcome != HASH_DONE && conn->has_hung_up) {
		forget(worker, conn);
		return;
	}
	worker->hashing_count--;
	if (result->outcome == HASH_DONE) {
		app_answer_job(conn->req, &result->answer);
		make_runnable(worker, conn);
	} else {
		conn->state = CONN_RUNNABLE;
		refuse_busy(worker, conn);
	}
}

/* Another one takes its place. Those whose passwords it had are told to come again. */
static void leave_hasher(struct worker *worker)
{
	const struct hash_result result = {.outcome = HASH_NO_PLACE};
	struct conn *next;

	close(worker->hash_channel);
	for (struct conn *conn = worker->conns.first; conn != NULL; conn = next) {
		next = conn->next;
		if (conn->state == CONN_HASHING)
			end_hashing(worker, conn, &result);
	}
	open_hash_channel(worker);
}

static void take_hash_results(struct worker *worker)
{
	enum hash_channel_news news;
	struct hash_result result;

	while ((news = hash_channel_result(worker->hash_channel, &result)) == HASH_CHANNEL_RESULT) {
		struct conn *conn = find_hashing(worker, result.id);

		if (conn != NULL)
			end_hashing(worker, conn, &result);
	}
	sodium_memzero(&result, sizeof result);
	if (news == HASH_CHANNEL_CLOSED)
		leave_hasher(worker);
}

/* It stays until the hasher says what has come of it: hanging up must not make a wrong password one that was not tried.
 */
static void cancel_hashing(struct worker *worker, struct conn *conn)
{
	conn->is_cancelled = true;
	conn->is_late = false;
	conn->deadline = clock_monotonic_ms() + HASHING_LAST_MS;
	if (!hash_channel_cancel(worker->hash_channel, conn->id))
		end_hashing(worker, conn, &(const struct hash_result){.outcome = HASH_WAITED_TOO_LONG});
}

static void hang_up_hashing(struct worker *worker, struct conn *conn)
{
	watch(worker, EPOLL_CTL_DEL, fcgi_fd(conn->fcgi), 0, conn);
	conn->is_watched = false;
	conn->has_hung_up = true;
	cancel_hashing(worker, conn);
}

/* ---- Those that wait ---------------------------------------------------------------------------------------- */

static void end_overdue(struct worker *worker)
{
	struct conn *next;

	for (struct conn *conn = worker->conns.first; conn != NULL; conn = next) {
		next = conn->next;
		if (conn->deadline == INT64_MAX || clock_until_ms(conn->deadline) > 0)
			continue;
		if (!conn->is_late) {
			/* What it sent while we were at another's request has still to be looked at. */
			conn->is_late = true;
		} else if (conn->state == CONN_HASHING && !conn->is_cancelled) {
			cancel_hashing(worker, conn);
		} else if (conn->state == CONN_HASHING) {
			end_hashing(worker, conn, &(const struct hash_result){.outcome = HASH_WAITED_TOO_LONG});
		} else {
			forget(worker, conn);
		}
	}
}

static void watch_database(struct worker *worker)
{
	struct db *db = worker->db;
	struct epoll_event event = {.data = {.ptr = db}};

	if (db == NULL || db_watch_id(db) == worker->db_watch_id)
		return;
	worker->db_watch_id = db_watch_id(db);
	event.events = db_wants_write(db) ? EPOLLOUT : EPOLLIN;
	/*
	 * The connection before was taken out of the set when it was closed. Its number may be this one's by now, or
	 * that of a peer, which has to stay in.
	 */
	if (db_socket(db) >= 0 && epoll_ctl(worker->epoll, EPOLL_CTL_MOD, db_socket(db), &event) != 0)
		watch(worker, EPOLL_CTL_ADD, db_socket(db), event.events, db);
}

static int sooner(int one, int other)
{
	return one < 0 || (other >= 0 && other < one) ? other : one;
}

static int wait_ms(const struct worker *worker)
{
	int wait = worker->db != NULL ? db_wait_ms(worker->db) : ATTENDANCE_MS;

	if ((worker->runnable.count > 0 && look_ups_are_idle(&worker->look_ups)) ||
	    (worker->db != NULL && look_ups_can_proceed(&worker->look_ups)))
		return 0;
	if (worker->forwarding_count > 0)
		wait = sooner(wait, HANDOFF_REST_MS);
	for (const struct conn *conn = worker->conns.first; conn != NULL; conn = conn->next) {
		if (conn->deadline != INT64_MAX)
			wait = sooner(wait, clock_until_ms(conn->deadline));
	}
	if (worker->accept_again_at != 0)
		wait = sooner(wait, clock_until_ms(worker->accept_again_at));
	if (look_ups_first(&worker->look_ups) != NULL)
		wait = sooner(wait,
		              is_late(worker) ? LATE_MS : clock_until_ms(worker->look_ups.sent_us / 1000 + LATE_MS));
	return wait;
}

/* ---- The loop ----------------------------------------------------------------------------------------------- */

static void handle_conn(struct worker *worker, struct conn *conn, uint32_t events)
{
	bool has_ended = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;

	if (conn->state == CONN_READING)
		inspect(worker, conn, has_ended);
	else if (conn->state == CONN_DRAINING && fcgi_drained(conn->fcgi))
		forget(worker, conn);
	else if (conn->state == CONN_HASHING && has_ended)
		hang_up_hashing(worker, conn);
}

static void handle_event(struct worker *worker, void *what, uint32_t events)
{
	if (worker->db != NULL && what == worker->db)
		db_service(worker->db);
	else if (what == &worker->hash_channel)
		take_hash_results(worker);
	else if (what != worker && conns_have(&worker->conns, what))
		handle_conn(worker, what, events);
}

/* Take no more than what is here. */
static void retire(struct worker *worker)
{
	worker->stopping = true;
	set_at_rest(worker);
}

/* HANDED_ON: by colleagues. OWN: also at our own unix sockets, which nobody finds any more. ALL: at all of them. */
enum backlog { BACKLOG_HANDED_ON, BACKLOG_OWN, BACKLOG_ALL };

/* Take what has come, and look at it then: serving in between would give others the time to come. */
static void drain_backlog(struct worker *worker, enum backlog backlog)
{
	const struct listeners *listeners = worker->setup->listeners;
	struct conn *next;

	worker->is_gathering = true;
	while (worker->conns.count < CONNS_MAX && accept_handed_on(worker))
		;
	for (size_t i = 0; i < listeners->count && backlog != BACKLOG_HANDED_ON; i++) {
		if (backlog == BACKLOG_OWN && listeners->all[i].own_path == NULL)
			continue;
		while (worker->conns.count < CONNS_MAX && accept_from(worker, listeners->all[i].fd))
			;
	}
	worker->is_gathering = false;
	for (struct conn *conn = worker->conns.first; conn != NULL; conn = next) {
		next = conn->next;
		if (conn->state == CONN_READING && !conn->is_watched)
			inspect(worker, conn, false);
	}
}

/* When others go on listening, what waits there is theirs. When the daemon ends, it is served. */
static void begin_to_stop(struct worker *worker)
{
	retire(worker);
	if (worker->setup->is_attendant) {
		for (struct conn *conn = worker->conns.first; conn != NULL; conn = conn->next) {
			if (conn->state == CONN_READING)
				forward(worker, conn);
		}
		return;
	}
	/* The next binary has another queue of those that are handed on. */
	drain_backlog(worker, atomic_load(&worker->setup->board->is_closing) ? BACKLOG_ALL : BACKLOG_HANDED_ON);
}

static void read_signals(struct worker *worker)
{
	if (signals_fd_read(worker->signals) && !worker->is_told) {
		worker->is_told = true;
		begin_to_stop(worker);
	}
}

/* True when there is nothing left to do for one that is to stop. */
static bool has_finished(struct worker *worker)
{
	if (!worker->stopping || worker->conns.count > 0)
		return false;
	/* More than one can hold may have been waiting. */
	if (worker->is_told && !worker->setup->is_attendant)
		drain_backlog(worker, atomic_load(&worker->setup->board->is_closing) ? BACKLOG_OWN : BACKLOG_HANDED_ON);
	return worker->conns.count == 0 && (worker->db == NULL || !look_ups_can_proceed(&worker->look_ups));
}

static int serve_until_told(struct worker *worker)
{
	const struct listeners *listeners = worker->setup->listeners;
	struct epoll_event events[EVENTS_MAX];
	bool is_listener_ready, is_handoff_ready, is_signalled;

	for (;;) {
		int count;

		update_listening(worker);
		set_at_rest(worker);
		if (worker->setup->is_attendant && worker->conns.count == 0 &&
		    clock_until_ms(worker->needed_until) == 0)
			retire(worker);
		if (has_finished(worker))
			return 0;
		watch_database(worker);
		count = epoll_wait(worker->epoll, events, EVENTS_MAX, wait_ms(worker));
		if (count < 0 && errno != EINTR) {
			log_error("epoll_failed", LOG_STR("problem", strerror(errno)));
			return 1;
		}
		is_listener_ready = is_handoff_ready = is_signalled = false;
		for (int i = 0; i < count; i++) {
			is_listener_ready |= events[i].data.ptr == worker;
			is_handoff_ready |= events[i].data.ptr == &worker->setup->handoff;
			is_signalled |= events[i].data.ptr == &worker->signals;
			handle_event(worker, events[i].data.ptr, events[i].events);
		}
		if (is_handoff_ready && worker->is_taking_handoffs)
			(void)accept_handed_on(worker);
		/* Nobody else may have been told of that connection, so at least one is taken, whatever else is to do.
		 */
		for (size_t i = 0; is_listener_ready && worker->is_listening && i < listeners->count; i++)
			accept_some(worker, listeners->all[i].fd);
		proceed_with_look_ups(worker);
		if (is_signalled)
			read_signals(worker);
		run_next(worker);
		end_overdue(worker);
		if (worker->forwarding_count > 0)
			forward_pending(worker);
		if (worker->db != NULL && db_wait_ms(worker->db) == 0)
			db_service(worker->db);
	}
}

/* Not all workers are to be relieved after the same number of requests, that is, at the same time. */
static int64_t requests_with_jitter(int64_t max_requests)
{
	uint32_t tenth = (uint32_t)(max_requests / 10) + 1;

	return max_requests == 0 ? -1 : max_requests + (int64_t)randombytes_uniform(tenth);
}

static int open_all(struct worker *worker)
{
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	worker->signals = signals_fd_open();
	if (worker->epoll < 0 || worker->signals < 0)
		return -1;
	watch(worker, EPOLL_CTL_ADD, worker->signals, EPOLLIN, &worker->signals);
	if (worker->setup->is_attendant)
		return 0;
	open_hash_channel(worker);
	if (app_open_database(worker->app, "onesessiond") != 0)
		return -1;
	worker->db = worker->app->rule.db;
	/* The first connection also loads what the libraries load late, which is forbidden from then on. */
	(void)db_connect(worker->db);
	return 0;
}

/*
 * A request's pieces are freed before the next one's are allocated, over and over: memory that was given back to the
 * kernel, or put together anew, would be wanted again at once (mallopt(3)). Only glibc can be told.
 */
static void keep_memory(void)
{
#ifdef __GLIBC__
	(void)mallopt(M_MXFAST, 0);
	(void)mallopt(M_TOP_PAD, KEPT_MEMORY / 4);
	(void)mallopt(M_TRIM_THRESHOLD, KEPT_MEMORY);
	(void)mallopt(M_MMAP_THRESHOLD, KEPT_MEMORY);
#endif
}

int worker_run(const struct worker_setup *setup)
{
	struct worker worker = {
		.setup = setup,
		.app = setup->generation->app,
		.settings = &setup->generation->settings,
		.slot = &setup->board->slots[setup->slot],
		.look_ups = {.app = setup->generation->app},
		.hash_channel = -1,
		.requests_left = requests_with_jitter(setup->generation->settings.server.max_requests),
	};
	int status;

	keep_memory();
	if (open_all(&worker) != 0 || sandbox_restrict() != 0) {
		log_error("worker_failed", LOG_STR("problem", strerror(errno)));
		return 1;
	}
	if (worker.db != NULL)
		atomic_store(&worker.slot->is_connected, db_is_connected(worker.db));
	set_state(&worker, WORKER_IDLE, 0);
	status = serve_until_told(&worker);
	set_seated(&worker, false);
	close(worker.signals);
	close(worker.epoll);
	if (worker.hash_channel >= 0)
		close(worker.hash_channel);
	talloc_free(worker.app);
	return status;
}
