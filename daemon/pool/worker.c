#include "pool/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/handoff.h"
#include "pool/sandbox.h"
#include "session/db.h"

#include <errno.h>
#include <sodium.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections that a worker holds at once: arriving, waiting for a place to hash, or being drained. */
#define PEERS_MAX 256
/* How long a login waits for a place to hash before it is told to come again. */
#define HASHING_WAIT_MS 5000
/* A login that waits looks for a place this often, should the wake-up have gone to a worker that died. */
#define HASHING_LOOK_MS 200
/* While it is another's turn: look again after so long, then after twice as long and so on, up to this. */
#define STAND_BACK_MS     2
#define STAND_BACK_MAX_MS 8
/* When there are no more descriptors or memory, accepting rests this long. */
#define ACCEPT_REST_MS 100
/* Room for all peers and the few others: one look tells of everybody who is ready. */
#define EVENTS_MAX (PEERS_MAX + 32)
/* How often the attendant looks whether it is needed, and after how long of not being needed it goes. */
#define ATTENDANCE_MS      100
#define ATTENDANCE_IDLE_MS 2000
/* An attendant that cannot hand on a connection tries again this often. */
#define HANDOFF_REST_MS 10

/* TOGETHER: to be served with others. LEAVING: to be handed on by the attendant. */
enum peer_state { PEER_ARRIVING, PEER_TOGETHER, PEER_WAITING, PEER_DRAINING, PEER_LEAVING };

struct peer {
	struct peer *next;
	enum peer_state state;
	int64_t deadline;
	bool is_late; /* the deadline has been seen to be past */
	int64_t connected_us;
	int64_t left_us;   /* when leaving: since when, clock_monotonic_us() */
	int64_t queued_us; /* how long it was between the attendant and us */
	int64_t busy_then; /* the worker's busy_us when it came to us */
	bool is_watched;
	struct fcgi *fcgi;
	struct ones_request *req; /* once it has been read; owns fcgi then */
};

struct worker {
	const struct worker_setup *setup;
	struct ones_app *app;
	const struct settings *settings;
	struct db *db; /* NULL: the attendant has none */
	struct worker_slot *slot;
	pid_t pid;
	int epoll;
	struct peer *peers;
	unsigned int peer_count;
	unsigned int waiting_count;
	unsigned int leaving_count;
	struct peer *together[RULE_KEYS_MAX]; /* in the order in which they came */
	size_t together_count;
	int64_t turn_us;   /* what scoreboard_end_turn() wants; 0: it is not our turn */
	int stand_back_ms; /* 0: we do not */
	int64_t look_again_at;
	int64_t needed_until; /* the attendant goes then */
	bool is_listening;
	bool is_hashing_watched;
	int64_t accept_again_at; /* 0: not resting */
	unsigned int db_watch_id;
	int64_t busy_since_us; /* 0: it is not */
	int64_t busy_us;       /* in all the times before */
	int64_t requests_left; /* -1: any number */
	int signals;           /* signalfd(2): a handler would not run while there is always something to do */
	bool is_told;          /* to stop, by the master */
	bool is_gathering;     /* connections are taken, and served when all of them have been */
	bool stopping;
};

static void watch(const struct worker *worker, int operation, int fd, uint32_t events, const void *what)
{
	struct epoll_event event = {.events = events, .data = {.ptr = (void *)(uintptr_t)what}};

	if (epoll_ctl(worker->epoll, operation, fd, &event) != 0)
		log_error("epoll_failed", LOG_STR("problem", strerror(errno)));
}

/* ---- Listening ---------------------------------------------------------------------------------------------- */

/* EPOLLEXCLUSIVE: a connection wakes one idle worker and not all of them. */
static void set_listening(struct worker *worker, bool on)
{
	const struct listeners *listeners = worker->setup->listeners;

	if (worker->is_listening == on)
		return;
	for (size_t i = 0; i < listeners->count; i++)
		watch(worker, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listeners->all[i].fd, EPOLLIN | EPOLLEXCLUSIVE,
		      worker);
	if (!worker->setup->is_attendant)
		watch(worker, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, worker->setup->handoff, EPOLLIN | EPOLLEXCLUSIVE,
		      &worker->setup->handoff);
	worker->is_listening = on;
}

/* For the attendant. */
static bool is_needed(struct worker *worker)
{
	bool are_all_busy = scoreboard_are_all_busy(worker->setup->board);

	if (are_all_busy)
		worker->needed_until = clock_monotonic_ms() + ATTENDANCE_IDLE_MS;
	return are_all_busy;
}

/*
 * A worker that finds its colleague at a turn lets the connection wait for the next one, which takes all that are
 * there: together they cost the database little more than one. Not the attendant: it comes when no turn does.
 */
static bool stands_back(struct worker *worker)
{
	if (worker->setup->is_attendant || !scoreboard_is_turn_under_way(worker->setup->board)) {
		worker->stand_back_ms = 0;
		return false;
	}
	if (worker->stand_back_ms == 0)
		worker->stand_back_ms = STAND_BACK_MS;
	else if (worker->stand_back_ms < STAND_BACK_MAX_MS)
		worker->stand_back_ms *= 2;
	worker->look_again_at = clock_monotonic_ms() + worker->stand_back_ms;
	return true;
}

static void update_listening(struct worker *worker)
{
	bool is_wanted = !worker->stopping && worker->peer_count < PEERS_MAX;

	if (worker->stand_back_ms > 0 && (clock_until_ms(worker->look_again_at) > 0 || stands_back(worker)))
		is_wanted = false;

	if (worker->accept_again_at != 0 && clock_until_ms(worker->accept_again_at) == 0)
		worker->accept_again_at = 0;
	if (worker->setup->is_attendant)
		is_wanted = is_wanted && is_needed(worker);
	set_listening(worker, is_wanted && worker->accept_again_at == 0);
}

static void forget_peer(struct worker *worker, struct peer *peer)
{
	struct peer **link = &worker->peers;

	while (*link != peer)
		link = &(*link)->next;
	*link = peer->next;
	worker->peer_count--;
	if (peer->state == PEER_WAITING)
		worker->waiting_count--;
	if (peer->state == PEER_LEAVING)
		worker->leaving_count--;
	/* Closing the descriptor takes it out of the epoll set, too. */
	talloc_free(peer->req != NULL ? (void *)peer->req : (void *)peer->fcgi);
	talloc_free(peer);
}

/* ---- One request -------------------------------------------------------------------------------------------- */

static void set_state(struct worker *worker, enum worker_state state, int64_t request_began_ms)
{
	atomic_store_explicit(&worker->slot->state, (int)state, memory_order_relaxed);
	atomic_store_explicit(&worker->slot->request_began_ms, request_began_ms, memory_order_relaxed);
}

static void set_at_rest(struct worker *worker)
{
	if (worker->busy_since_us != 0)
		worker->busy_us += clock_monotonic_us() - worker->busy_since_us;
	worker->busy_since_us = 0;
	set_state(worker, worker->stopping ? WORKER_STOPPING : WORKER_IDLE, 0);
}

static void set_busy(struct worker *worker)
{
	set_at_rest(worker);
	worker->busy_since_us = clock_monotonic_us();
	set_state(worker, WORKER_BUSY, worker->busy_since_us / 1000);
}

/* The request is answered: close the connection, or keep it until the peer has said what nobody listens to. */
static void finish(struct worker *worker, struct peer *peer)
{
	(void)app_close(peer->req);
	if (worker->requests_left > 0)
		worker->requests_left--;
	atomic_fetch_add_explicit(&worker->slot->requests, 1, memory_order_relaxed);
	if (fcgi_drained(peer->fcgi)) {
		forget_peer(worker, peer);
		return;
	}
	peer->state = PEER_DRAINING;
	peer->deadline = clock_monotonic_ms() + worker->settings->server.io_timeout;
	watch(worker, peer->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fcgi_fd(peer->fcgi), EPOLLIN, peer);
}

static void end_turn(struct worker *worker)
{
	if (worker->turn_us != 0)
		scoreboard_end_turn(worker->setup->board, worker->turn_us);
	worker->turn_us = 0;
}

static void set_busy_with(struct worker *worker, const struct ones_request *req)
{
	atomic_store_explicit(&worker->slot->route, (uint32_t)app_route_number(req), memory_order_relaxed);
	atomic_store_explicit(&worker->slot->method, (int)req->http->method, memory_order_relaxed);
	set_busy(worker);
}

static void answer(struct worker *worker, struct peer *peer)
{
	set_busy_with(worker, peer->req);
	app_run(peer->req);
	scoreboard_free_hashing_places(worker->setup->board, worker->pid);
	finish(worker, peer);
}

static void run(struct worker *worker, struct peer *peer)
{
	answer(worker, peer);
	app_touch(worker->app);
	set_at_rest(worker);
}

/*
 * Those that have come by now and are quick: one round trip for all their sessions, and one for what is stored after
 * their answers. Whoever may have to wait for the lock of an account comes last.
 */
static void serve_together(struct worker *worker)
{
	struct ones_request *reqs[RULE_KEYS_MAX];
	struct peer *unsettled[RULE_KEYS_MAX];
	size_t count = worker->together_count, unsettled_count = 0;

	if (count == 0) {
		end_turn(worker);
		return;
	}
	/* More than we can take may be waiting. */
	if (count == RULE_KEYS_MAX)
		end_turn(worker);
	for (size_t i = 0; i < count; i++)
		reqs[i] = worker->together[i]->req;
	worker->together_count = 0;
	set_busy_with(worker, reqs[0]);
	app_read_sessions(reqs, count);
	for (size_t i = 0; i < count; i++) {
		if (app_is_settled(reqs[i]))
			answer(worker, worker->together[i]);
		else
			unsettled[unsettled_count++] = worker->together[i];
	}
	end_turn(worker);
	for (size_t i = 0; i < unsettled_count; i++)
		answer(worker, unsettled[i]);
	app_touch(worker->app);
	set_at_rest(worker);
}

static void let_join(struct worker *worker, struct peer *peer)
{
	peer->state = PEER_TOGETHER;
	worker->together[worker->together_count++] = peer;
	if (worker->together_count == RULE_KEYS_MAX)
		serve_together(worker);
}

/*
 * Its bytes are there. What is quick waits for others that are; nothing that may take its time is put before it. A
 * login waits for a place to hash; whatever else comes meanwhile is served before it.
 */
static void serve(struct worker *worker, struct peer *peer)
{
	if (!fcgi_is_whole(peer->fcgi))
		serve_together(worker);
	atomic_store_explicit(&worker->slot->route, SCOREBOARD_READING, memory_order_relaxed);
	set_busy(worker);
	if (fcgi_accept(peer->fcgi) == 0)
		peer->req = app_open(worker->app, peer->fcgi, peer->connected_us,
		                     peer->queued_us + worker->busy_us - peer->busy_then);
	set_at_rest(worker);
	if (peer->req == NULL) {
		forget_peer(worker, peer);
		return;
	}
	if (app_needs_hashing_place(peer->req) && !scoreboard_take_hashing_place(worker->setup->board, worker->pid)) {
		peer->state = PEER_WAITING;
		peer->deadline = clock_monotonic_ms() + HASHING_WAIT_MS;
		worker->waiting_count++;
	} else if (app_is_quick(peer->req)) {
		let_join(worker, peer);
	} else {
		serve_together(worker);
		run(worker, peer);
	}
}

/* ---- Handing on --------------------------------------------------------------------------------------------- */

static void hand_on_leaving(struct worker *worker)
{
	struct peer *next;

	for (struct peer *peer = worker->peers; peer != NULL; peer = next) {
		const struct handoff handoff = {
			.fd = fcgi_fd(peer->fcgi), .connected_us = peer->connected_us, .left_us = peer->left_us};

		next = peer->next;
		if (peer->state == PEER_LEAVING && handoff_put(worker->setup->handoff, &handoff))
			forget_peer(worker, peer);
	}
}

static void let_leave(struct worker *worker, struct peer *peer)
{
	if (peer->is_watched)
		watch(worker, EPOLL_CTL_DEL, fcgi_fd(peer->fcgi), 0, peer);
	peer->is_watched = false;
	peer->state = PEER_LEAVING;
	peer->left_us = clock_monotonic_us();
	peer->deadline = INT64_MAX;
	worker->leaving_count++;
}

/* Its bytes are there: is it for us? */
static void attend_to(struct worker *worker, struct peer *peer)
{
	char path[REQUEST_PATH_MAX + 1];

	/* An authorizer asks for a session, whatever the path is that it asks about. */
	if (fcgi_role(peer->fcgi) == FCGI_ROLE_RESPONDER && fcgi_peek_path(peer->fcgi, path, sizeof path) &&
	    app_needs_no_database(worker->app, path))
		serve(worker, peer);
	else
		let_leave(worker, peer);
}

/* ---- Arriving ----------------------------------------------------------------------------------------------- */

/* `has_ended`: the peer will send no more than what is there. */
static void inspect(struct worker *worker, struct peer *peer, bool has_ended)
{
	enum fcgi_progress progress = fcgi_inspect(peer->fcgi);

	if (progress == FCGI_WAIT && has_ended)
		progress = FCGI_CLOSED;
	switch (progress) {
	case FCGI_READY:
		if (worker->setup->is_attendant)
			attend_to(worker, peer);
		else
			serve(worker, peer);
		break;
	case FCGI_WAIT:
		/* What was looked at stays in the socket, so only news is of interest: edges. */
		if (!peer->is_watched)
			watch(worker, EPOLL_CTL_ADD, fcgi_fd(peer->fcgi), EPOLLIN | EPOLLRDHUP | EPOLLET, peer);
		peer->is_watched = true;
		break;
	case FCGI_BROKEN:
		log_warning("request_refused", LOG_STR("problem", fcgi_defect(peer->fcgi)));
		forget_peer(worker, peer);
		break;
	default: forget_peer(worker, peer); break;
	}
}

static void take_connection(struct worker *worker, int fd, int64_t connected_us, int64_t queued_us)
{
	int64_t io_timeout = worker->settings->server.io_timeout;
	struct peer *peer;
	struct fcgi *fcgi;

	fcgi = fcgi_open(NULL, fd, io_timeout);
	if (fcgi == NULL) {
		close(fd);
		return;
	}
	peer = talloc_zero(NULL, struct peer);
	if (peer == NULL) {
		talloc_free(fcgi);
		return;
	}
	peer->fcgi = fcgi;
	peer->deadline = clock_monotonic_ms() + io_timeout;
	peer->connected_us = connected_us;
	peer->queued_us = queued_us;
	peer->busy_then = worker->busy_us;
	peer->next = worker->peers;
	worker->peers = peer;
	worker->peer_count++;
	if (!worker->is_gathering)
		inspect(worker, peer, false);
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

	if (worker->setup->is_attendant || !handoff_take(worker->setup->handoff, &handoff))
		return false;
	take_connection(worker, handoff.fd, handoff.connected_us, clock_monotonic_us() - handoff.left_us);
	return true;
}

/* One connection, and as long as they are quick requests, more: they are served together. */
static void accept_some(struct worker *worker, int listening)
{
	size_t before;

	do {
		before = worker->together_count;
		if (worker->peer_count == PEERS_MAX || !accept_from(worker, listening))
			return;
	} while (worker->together_count > before);
}

static void take_turn(struct worker *worker)
{
	const struct listeners *listeners = worker->setup->listeners;

	worker->turn_us = scoreboard_begin_turn(worker->setup->board);
	for (size_t i = 0; i < listeners->count; i++)
		accept_some(worker, listeners->all[i].fd);
}

/* ---- Those that wait ---------------------------------------------------------------------------------------- */

static struct peer *longest_waiting(const struct worker *worker)
{
	struct peer *found = NULL;

	for (struct peer *peer = worker->peers; peer != NULL; peer = peer->next) {
		if (peer->state == PEER_WAITING && (found == NULL || peer->deadline <= found->deadline))
			found = peer;
	}
	return found;
}

/* One login, so that others get their turn before the next. */
static void serve_waiting(struct worker *worker)
{
	struct peer *peer = longest_waiting(worker);

	if (peer == NULL || !scoreboard_take_hashing_place(worker->setup->board, worker->pid))
		return;
	worker->waiting_count--;
	peer->state = PEER_ARRIVING;
	run(worker, peer);
}

static void end_overdue(struct worker *worker)
{
	struct peer *next;

	for (struct peer *peer = worker->peers; peer != NULL; peer = next) {
		next = peer->next;
		if (clock_until_ms(peer->deadline) > 0)
			continue;
		if (!peer->is_late) {
			/* What it sent while we were at another's request has still to be looked at. */
			peer->is_late = true;
		} else if (peer->state == PEER_WAITING) {
			worker->waiting_count--;
			peer->state = PEER_ARRIVING;
			app_refuse_busy(peer->req);
			finish(worker, peer);
		} else {
			forget_peer(worker, peer);
		}
	}
}

static void watch_hashing(struct worker *worker)
{
	bool wanted = worker->waiting_count > 0;

	if (wanted == worker->is_hashing_watched)
		return;
	watch(worker, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, worker->setup->board->hashing_event,
	      EPOLLIN | EPOLLEXCLUSIVE, worker->setup->board);
	worker->is_hashing_watched = wanted;
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

	if (worker->leaving_count > 0)
		wait = sooner(wait, HANDOFF_REST_MS);
	for (const struct peer *peer = worker->peers; peer != NULL; peer = peer->next)
		wait = sooner(wait, clock_until_ms(peer->deadline));
	if (worker->waiting_count > 0)
		wait = sooner(wait, HASHING_LOOK_MS);
	if (worker->accept_again_at != 0)
		wait = sooner(wait, clock_until_ms(worker->accept_again_at));
	if (worker->stand_back_ms > 0)
		wait = sooner(wait, clock_until_ms(worker->look_again_at));
	return wait;
}

/* ---- The loop ----------------------------------------------------------------------------------------------- */

static void drained_or_wait(struct worker *worker, struct peer *peer)
{
	if (fcgi_drained(peer->fcgi))
		forget_peer(worker, peer);
}

/* True when `peer`, as an event names it, is still one of ours: serving one may end another. */
static bool is_peer(const struct worker *worker, const struct peer *peer)
{
	for (const struct peer *at = worker->peers; at != NULL; at = at->next) {
		if (at == peer)
			return true;
	}
	return false;
}

static void handle_event(struct worker *worker, void *what, uint32_t events)
{
	struct db *db = worker->db;
	uint64_t count;

	if (db != NULL && what == db) {
		db_service(db);
	} else if (what == worker->setup->board) {
		/* Whether this worker or another one takes the count, serve_waiting() looks for itself. */
		if (read(worker->setup->board->hashing_event, &count, sizeof count) < 0)
			return;
	} else if (what != worker && is_peer(worker, what)) {
		struct peer *peer = what;

		if (peer->state == PEER_ARRIVING)
			inspect(worker, peer, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
		else if (peer->state == PEER_DRAINING)
			drained_or_wait(worker, peer);
	}
}

/* Take no more than what is here. */
static void retire(struct worker *worker)
{
	worker->stopping = true;
	set_at_rest(worker);
}

/*
 * Take what the kernel has let in, and serve it then: serving in between would give others the time to come. With
 * `only_own` from our own unix sockets alone, which nobody finds any more.
 */
static void gather(struct worker *worker, bool only_own)
{
	const struct listeners *listeners = worker->setup->listeners;
	struct peer *next;

	worker->is_gathering = true;
	while (worker->peer_count < PEERS_MAX && accept_handed_on(worker))
		;
	for (size_t i = 0; i < listeners->count; i++) {
		if (only_own && listeners->all[i].own_path == NULL)
			continue;
		while (worker->peer_count < PEERS_MAX && accept_from(worker, listeners->all[i].fd))
			;
	}
	worker->is_gathering = false;
	for (struct peer *peer = worker->peers; peer != NULL; peer = next) {
		next = peer->next;
		if (peer->state == PEER_ARRIVING && !peer->is_watched)
			inspect(worker, peer, false);
	}
	serve_together(worker);
}

/* When others go on listening, what waits is theirs. When the daemon ends, it is served. */
static void begin_to_stop(struct worker *worker)
{
	retire(worker);
	if (worker->setup->is_attendant) {
		for (struct peer *peer = worker->peers; peer != NULL; peer = peer->next) {
			if (peer->state == PEER_ARRIVING)
				let_leave(worker, peer);
		}
	} else if (atomic_load(&worker->setup->board->is_closing)) {
		gather(worker, false);
	}
}

static void heed_signals(struct worker *worker)
{
	struct signalfd_siginfo info;

	while (read(worker->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGUSR1) {
			if (log_reopen() != 0)
				log_error("log_not_reopened", LOG_STR("problem", strerror(errno)));
		} else if (!worker->is_told) {
			worker->is_told = true;
			begin_to_stop(worker);
		}
	}
}

/* True when there is nothing left to do for one that is to stop. */
static bool has_finished(struct worker *worker)
{
	if (!worker->stopping || worker->peer_count > 0)
		return false;
	/* More than one can hold may have been waiting. */
	if (worker->is_told && !worker->setup->is_attendant && atomic_load(&worker->setup->board->is_closing))
		gather(worker, true);
	return worker->peer_count == 0;
}

static int serve_until_told(struct worker *worker)
{
	struct epoll_event events[EVENTS_MAX];
	bool is_listener_ready, is_handoff_ready, is_signalled;

	for (;;) {
		int count;

		if (worker->requests_left == 0)
			retire(worker);
		update_listening(worker);
		if (worker->setup->is_attendant && worker->peer_count == 0 && clock_until_ms(worker->needed_until) == 0)
			retire(worker);
		if (has_finished(worker))
			return 0;
		watch_hashing(worker);
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
		if (is_handoff_ready && worker->is_listening)
			(void)accept_handed_on(worker);
		if (is_listener_ready && worker->is_listening && !stands_back(worker))
			take_turn(worker);
		serve_together(worker);
		/* After what has come with them: nobody else may have been told of that connection. */
		if (is_signalled)
			heed_signals(worker);
		end_overdue(worker);
		if (worker->waiting_count > 0)
			serve_waiting(worker);
		if (worker->leaving_count > 0)
			hand_on_leaving(worker);
		if (worker->db != NULL && db_wait_ms(worker->db) == 0)
			db_service(worker->db);
	}
}

/* Not all workers are to end after the same number of requests, that is, at the same time. */
static int64_t requests_with_jitter(int64_t max_requests)
{
	uint32_t tenth = (uint32_t)(max_requests / 10) + 1;

	return max_requests == 0 ? -1 : max_requests + (int64_t)randombytes_uniform(tenth);
}

/* They are blocked, as in the master. */
static int open_signals(struct worker *worker)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGUSR1);
	worker->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (worker->signals < 0)
		return -1;
	watch(worker, EPOLL_CTL_ADD, worker->signals, EPOLLIN, &worker->signals);
	return 0;
}

int worker_run(const struct worker_setup *setup)
{
	struct worker worker = {
		.setup = setup,
		.app = setup->generation->app,
		.settings = &setup->generation->settings,
		.slot = &setup->board->slots[setup->slot],
		.pid = getpid(),
		.requests_left = requests_with_jitter(setup->generation->settings.server.max_requests),
	};
	int status;

	worker.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (worker.epoll < 0 || open_signals(&worker) != 0)
		goto fail;
	if (!setup->is_attendant) {
		if (app_open_database(worker.app, "onesessiond") != 0)
			goto fail;
		worker.db = worker.app->rule.db;
		/* The first connection also loads what the libraries load late, which is forbidden from then on. */
		(void)db_connect(worker.db);
	}
	if (sandbox_restrict() != 0)
		goto fail;
	set_state(&worker, WORKER_IDLE, 0);
	status = serve_until_told(&worker);
	close(worker.signals);
	close(worker.epoll);
	talloc_free(worker.app);
	return status;
fail:
	log_error("worker_failed", LOG_STR("problem", strerror(errno)));
	return 1;
}
