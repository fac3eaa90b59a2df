#include "pool/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "session/db.h"

#include <errno.h>
#include <sodium.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections that a worker holds at once: arriving, waiting for a place to hash, or being drained. */
#define PEERS_MAX 256
/* How long a login waits for a place to hash before it is told to come again. */
#define HASHING_WAIT_MS 5000
/* A login that waits looks for a place this often, should the wake-up have gone to a worker that died. */
#define HASHING_LOOK_MS 200
/* When there are no more descriptors or memory, accepting rests this long. */
#define ACCEPT_REST_MS 100
#define EVENTS_MAX     32

enum peer_state { PEER_ARRIVING, PEER_WAITING, PEER_DRAINING };

struct peer {
	struct peer *next;
	enum peer_state state;
	int64_t deadline;
	bool is_watched;
	struct fcgi *fcgi;
	struct ones_request *req; /* when waiting or draining; owns fcgi then */
};

struct worker {
	const struct worker_setup *setup;
	struct worker_slot *slot;
	pid_t pid;
	int epoll;
	struct peer *peers;
	unsigned int peer_count;
	unsigned int waiting_count;
	bool is_listening;
	bool is_hashing_watched;
	int64_t accept_again_at; /* 0: not resting */
	int db_socket;
	bool db_wants_write;
	int64_t requests_left; /* -1: any number */
	bool stopping;
};

/* The one thing that a signal handler can reach. */
static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int signal)
{
	(void)signal;
	stop_asked = 1;
}

static void watch(const struct worker *worker, int operation, int fd, uint32_t events, void *what)
{
	struct epoll_event event = {.events = events, .data = {.ptr = what}};

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
	worker->is_listening = on;
}

static void update_listening(struct worker *worker)
{
	if (worker->accept_again_at != 0 && clock_until_ms(worker->accept_again_at) == 0)
		worker->accept_again_at = 0;
	set_listening(worker, !worker->stopping && worker->accept_again_at == 0 && worker->peer_count < PEERS_MAX);
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
	peer->deadline = clock_monotonic_ms() + worker->setup->app->settings->server.io_timeout;
	watch(worker, peer->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fcgi_fd(peer->fcgi), EPOLLIN, peer);
}

static void run(struct worker *worker, struct peer *peer)
{
	set_state(worker, WORKER_BUSY, clock_monotonic_ms());
	app_run(peer->req);
	scoreboard_free_hashing_places(worker->setup->board, worker->pid);
	finish(worker, peer);
	set_state(worker, WORKER_IDLE, 0);
}

/* Its bytes are there. A login waits for a place to hash; whatever else comes meanwhile is served before it. */
static void serve(struct worker *worker, struct peer *peer)
{
	set_state(worker, WORKER_BUSY, clock_monotonic_ms());
	if (fcgi_accept(peer->fcgi) == 0)
		peer->req = app_open(worker->setup->app, peer->fcgi);
	set_state(worker, WORKER_IDLE, 0);
	if (peer->req == NULL) {
		forget_peer(worker, peer);
		return;
	}
	if (app_needs_hashing_place(peer->req) && !scoreboard_take_hashing_place(worker->setup->board, worker->pid)) {
		peer->state = PEER_WAITING;
		peer->deadline = clock_monotonic_ms() + HASHING_WAIT_MS;
		worker->waiting_count++;
		return;
	}
	run(worker, peer);
}

/* `has_ended`: the peer will send no more than what is there. */
static void inspect(struct worker *worker, struct peer *peer, bool has_ended)
{
	enum fcgi_progress progress = fcgi_inspect(peer->fcgi);

	if (progress == FCGI_WAIT && has_ended)
		progress = FCGI_CLOSED;
	switch (progress) {
	case FCGI_READY: serve(worker, peer); break;
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

static void take_connection(struct worker *worker, int fd)
{
	int64_t io_timeout = worker->setup->app->settings->server.io_timeout;
	struct peer *peer;
	struct fcgi *fcgi;

	if (!peer_is_allowed(worker->setup->peer_rules, fd)) {
		log_warning("peer_refused", LOG_STR("hint", "see server.allowed_clients and server.allowed_users"));
		close(fd);
		return;
	}
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
	peer->next = worker->peers;
	worker->peers = peer;
	worker->peer_count++;
	inspect(worker, peer, false);
}

/* Returns false when nobody is waiting to be accepted. */
static bool accept_from(struct worker *worker, int listening)
{
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0) {
		take_connection(worker, fd);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		log_error("accept_failed", LOG_STR("problem", strerror(errno)), LOG_INT("rest_ms", ACCEPT_REST_MS));
		worker->accept_again_at = clock_monotonic_ms() + ACCEPT_REST_MS;
		return false;
	}
	return errno == ECONNABORTED || errno == EINTR;
}

static void accept_one_each(struct worker *worker)
{
	const struct listeners *listeners = worker->setup->listeners;

	for (size_t i = 0; i < listeners->count && worker->peer_count < PEERS_MAX; i++)
		(void)accept_from(worker, listeners->all[i].fd);
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
		if (peer->state == PEER_WAITING) {
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
	struct db *db = worker->setup->app->rule.db;
	int fd = db_socket(db);
	bool wants_write = db_wants_write(db);

	if (fd == worker->db_socket && wants_write == worker->db_wants_write)
		return;
	/* A new connection may have got the number of the one before, which closing took out of the set. */
	if (worker->db_socket >= 0)
		(void)epoll_ctl(worker->epoll, EPOLL_CTL_DEL, worker->db_socket, NULL);
	if (fd >= 0)
		watch(worker, EPOLL_CTL_ADD, fd, wants_write ? EPOLLOUT : EPOLLIN, db);
	worker->db_socket = fd;
	worker->db_wants_write = wants_write;
}

static int sooner(int one, int other)
{
	return one < 0 || (other >= 0 && other < one) ? other : one;
}

static int wait_ms(const struct worker *worker)
{
	int wait = db_wait_ms(worker->setup->app->rule.db);

	for (const struct peer *peer = worker->peers; peer != NULL; peer = peer->next)
		wait = sooner(wait, clock_until_ms(peer->deadline));
	if (worker->waiting_count > 0)
		wait = sooner(wait, HASHING_LOOK_MS);
	if (worker->accept_again_at != 0)
		wait = sooner(wait, clock_until_ms(worker->accept_again_at));
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
	struct db *db = worker->setup->app->rule.db;
	uint64_t count;

	if (what == db) {
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

/* What had been let in by the kernel before we stopped listening is served, too. */
static void begin_to_stop(struct worker *worker)
{
	const struct listeners *listeners = worker->setup->listeners;

	set_state(worker, WORKER_STOPPING, 0);
	for (size_t i = 0; i < listeners->count; i++) {
		while (worker->peer_count < PEERS_MAX && accept_from(worker, listeners->all[i].fd))
			;
	}
	worker->stopping = true;
}

static void serve_until_told(struct worker *worker, const sigset_t *while_waiting)
{
	struct epoll_event events[EVENTS_MAX];
	bool is_listener_ready;

	for (;;) {
		int count;

		if (!worker->stopping && stop_asked)
			begin_to_stop(worker);
		if (worker->requests_left == 0)
			worker->stopping = true;
		if (worker->stopping && worker->peer_count == 0)
			return;
		update_listening(worker);
		watch_hashing(worker);
		watch_database(worker);
		count = epoll_pwait(worker->epoll, events, EVENTS_MAX, wait_ms(worker), while_waiting);
		if (count < 0 && errno != EINTR) {
			log_error("epoll_failed", LOG_STR("problem", strerror(errno)));
			return;
		}
		is_listener_ready = false;
		for (int i = 0; i < count; i++) {
			is_listener_ready |= events[i].data.ptr == worker;
			handle_event(worker, events[i].data.ptr, events[i].events);
		}
		if (is_listener_ready && worker->is_listening)
			accept_one_each(worker);
		end_overdue(worker);
		if (worker->waiting_count > 0)
			serve_waiting(worker);
		if (db_wait_ms(worker->setup->app->rule.db) == 0)
			db_service(worker->setup->app->rule.db);
	}
}

/* Not all workers are to end after the same number of requests, that is, at the same time. */
static int64_t requests_with_jitter(int64_t max_requests)
{
	uint32_t tenth = (uint32_t)(max_requests / 10) + 1;

	return max_requests == 0 ? -1 : max_requests + (int64_t)randombytes_uniform(tenth);
}

int worker_run(const struct worker_setup *setup)
{
	const struct sigaction stop = {.sa_handler = ask_to_stop};
	struct worker worker = {
		.setup = setup,
		.slot = &setup->board->workers[setup->slot],
		.pid = getpid(),
		.db_socket = -1,
		.requests_left = requests_with_jitter(setup->app->settings->server.max_requests),
	};
	sigset_t while_waiting;

	if (sigprocmask(SIG_SETMASK, NULL, &while_waiting) != 0 || sigdelset(&while_waiting, SIGTERM) != 0 ||
	    sigdelset(&while_waiting, SIGQUIT) != 0 || sigaction(SIGTERM, &stop, NULL) != 0 ||
	    sigaction(SIGQUIT, &stop, NULL) != 0) {
		log_error("signals_failed", LOG_STR("problem", strerror(errno)));
		return 1;
	}
	worker.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (worker.epoll < 0 || app_open_database(setup->app, "onesessiond") != 0) {
		log_error("worker_failed", LOG_STR("problem", strerror(errno)));
		return 1;
	}
	(void)db_connect(setup->app->rule.db);
	set_state(&worker, WORKER_IDLE, 0);
	serve_until_told(&worker, &while_waiting);
	close(worker.epoll);
	talloc_free(setup->app);
	return 0;
}
