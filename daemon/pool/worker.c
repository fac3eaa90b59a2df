/* A worker's loop. */
#include "pool/worker.h"

#include "api/services.h"
#include "base/clock.h"
#include "base/log.h"
#include "pool/admission.h"
#include "pool/crash.h"
#include "pool/forwarding.h"
#include "pool/hashing.h"
#include "pool/reading.h"
#include "pool/requests.h"
#include "pool/sandbox.h"
#include "pool/signals_fd.h"
#include "session/db.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* As much unused memory is not given back to the kernel. */
#define KEPT_MEMORY (1024 * 1024)
/* Room for all connections and the few others: one call returns all that are ready. */
#define EVENTS_MAX (CONNS_MAX + 32)
/* How long a worker that comes up waits for a name server that is silent. */
#define NAMES_MS 1000

/* ---- Waiting ------------------------------------------------------------------------------------------------ */

static void end_overdue(struct worker *worker)
{
	struct conn *next;

	for (struct conn *conn = worker->conns.first; conn != NULL; conn = next) {
		next = conn->next;
		if (conn->deadline == INT64_MAX || clock_until_ms(conn->deadline) > 0)
			continue;
		/* What it sent while another request was worked on has still to be inspected. */
		if (!conn->is_late)
			conn->is_late = true;
		else if (conn->state == CONN_HASHING)
			request_end_hashing(worker, conn);
		else if (conn->state == CONN_RECEIVING)
			request_end_receiving(worker, conn);
		else
			conns_remove(&worker->conns, conn);
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
		worker_watch(worker, EPOLL_CTL_ADD, db_socket(db), event.events, db);
}

static int sooner(int one, int other)
{
	return one < 0 || (other >= 0 && other < one) ? other : one;
}

static int wait_ms(const struct worker *worker)
{
	const struct lookups *lookups = &worker->lookups;
	int wait = sooner(worker->role->poll_ms, worker->db != NULL ? db_wait_ms(worker->db) : -1);

	if ((worker->runnable.count + worker->paused.count > 0 && lookups_are_idle(lookups)) ||
	    lookups_can_proceed(lookups))
		return 0;
	if (worker->conns.by_state[CONN_FORWARDING] > 0)
		wait = sooner(wait, FORWARD_RETRY_MS);
	for (const struct conn *conn = worker->conns.first; conn != NULL; conn = conn->next) {
		if (conn->deadline != INT64_MAX)
			wait = sooner(wait, clock_until_ms(conn->deadline));
	}
	if (worker->accept_again_at != 0)
		wait = sooner(wait, clock_until_ms(worker->accept_again_at));
	if (worker->look_for_overdue_at != 0)
		wait = sooner(wait, clock_until_ms(worker->look_for_overdue_at));
	if (lookups_first(lookups) != NULL)
		wait = sooner(wait, lookups_are_late(lookups)
		                            ? LOOKUP_LATE_MS
		                            : clock_until_ms(lookups->sent_us / 1000 + LOOKUP_LATE_MS));
	return wait;
}

/* ---- Events ------------------------------------------------------------------------------------------------- */

/* What has to be done once all events of a round have been handled. */
struct round {
	bool is_listener_ready, is_handoff_ready[HANDOFF_QUEUES], is_signalled;
};

static void handle_conn(struct worker *worker, struct conn *conn, uint32_t events)
{
	bool has_ended = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;

	if (conn->state == CONN_READING) {
		reading_inspect(worker, conn, has_ended);
	} else if (conn->state == CONN_RECEIVING) {
		request_receive(worker, conn);
	} else if (conn->state == CONN_STREAMING) {
		request_stream(worker, conn);
	} else if (conn->state == CONN_DRAINING && fcgi_drained(conn->fcgi)) {
		conns_remove(&worker->conns, conn);
	} else if (conn->state == CONN_HASHING && has_ended) {
		request_hang_up(worker, conn);
	}
}

static bool is_handoff_queue(const struct worker *worker, const void *what)
{
	const struct handoff_queues *queues = worker->setup->handoffs;

	for (enum handoff_queue queue = 0; queue < HANDOFF_QUEUES; queue++) {
		if (what == queues->ends[queue])
			return true;
	}
	return false;
}

static void handle_event(struct worker *worker, const struct epoll_event *event, struct round *round)
{
	void *what = event->data.ptr;

	if (what == worker)
		round->is_listener_ready = true;
	else if (is_handoff_queue(worker, what))
		round->is_handoff_ready[(const int(*)[2])what - worker->setup->handoffs->ends] = true;
	else if (what == &worker->signals)
		round->is_signalled = true;
	else if (worker->db != NULL && what == worker->db)
		db_service(worker->db);
	else if (what == &worker->hash_channel)
		requests_take_hash_results(worker);
	else if (conns_have(&worker->conns, what))
		handle_conn(worker, what, event->events);
}

static void read_signals(struct worker *worker)
{
	if (signals_fd_read(worker->signals) && !worker->is_signalled) {
		worker->is_signalled = true;
		worker_set_stopping(worker);
		worker->role->begin_to_stop(worker);
	}
}

static void work(struct worker *worker, const struct round *round)
{
	/* No other worker may have been woken for that connection, so at least one is taken, whatever else is to do. */
	for (enum handoff_queue queue = 0; queue < HANDOFF_QUEUES; queue++) {
		if (round->is_handoff_ready[queue] && worker->is_taking[queue])
			(void)admission_take_handoff(worker, queue);
	}
	admission_take_overdue(worker);
	if (round->is_listener_ready && worker->is_listening)
		admission_accept(worker);
	requests_proceed_with_lookups(worker);
	if (round->is_signalled)
		read_signals(worker);
	requests_run_next(worker);
	requests_resume_stream(worker);
	end_overdue(worker);
	forward_pending(worker);
	if (worker->db != NULL && db_wait_ms(worker->db) == 0)
		db_service(worker->db);
}

/* ---- The loop ----------------------------------------------------------------------------------------------- */

/* True when nothing is left to do for a worker that is to stop. */
static bool has_finished(struct worker *worker)
{
	if (!worker->stopping || worker->conns.count > 0)
		return false;
	if (worker->is_signalled)
		worker->role->take_remaining(worker);
	return worker->conns.count == 0 && !lookups_can_proceed(&worker->lookups);
}

static int serve_until_stopped(struct worker *worker)
{
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		struct round round = {0};
		int count;

		admission_update(worker);
		worker_set_idle(worker);
		if (worker->role->is_unneeded(worker))
			worker_set_stopping(worker);
		if (has_finished(worker))
			return 0;
		watch_database(worker);
		count = epoll_wait(worker->epoll, events, EVENTS_MAX, wait_ms(worker));
		if (count < 0 && errno != EINTR) {
			log_error("epoll_failed", LOG_STR("problem", strerror(errno)));
			return 1;
		}
		for (int i = 0; i < count; i++)
			handle_event(worker, &events[i], &round);
		work(worker, &round);
	}
}

/* Not all workers are to be recycled after the same number of requests, that is, at the same time. */
static int64_t requests_with_jitter(int64_t max_requests)
{
	uint32_t tenth = (uint32_t)(max_requests / 10) + 1;

	return max_requests == 0 ? -1 : max_requests + (int64_t)randombytes_uniform(tenth);
}

static int open_all(struct worker *worker, TALLOC_CTX *ctx)
{
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	worker->signals = signals_fd_open();
	if (worker->epoll < 0 || worker->signals < 0)
		return -1;
	if (lookups_init(&worker->lookups, ctx, worker->app) != 0) {
		errno = ENOMEM;
		return -1;
	}
	worker_watch(worker, EPOLL_CTL_ADD, worker->signals, EPOLLIN, &worker->signals);
	return worker->role->open(worker);
}

/*
 * A request's pieces are freed before the next one's are allocated, over and over: memory that was given back to the
 * kernel, or put together anew, would be wanted again at once (mallopt(3)). Only glibc has these parameters.
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

static int restrict_process(const struct ones_app *app)
{
	return sandbox_restrict(sandbox_files(app) | (app->service_count > 0 ? SANDBOX_THREADS : 0));
}

/* The modules before everything else: what is opened depends on them. Returns 0, or -1 with *problem. */
static int prepare(struct worker *worker, TALLOC_CTX *ctx, struct problem *problem)
{
	const struct modules *modules = worker->setup->generation->modules;

	if (modules_load(worker->app, modules, problem) != 0)
		return -1;
	if (open_all(worker, ctx) != 0)
		return problem_set_errno(problem);
	folders_open(worker->app);
	if (modules_start(worker->app, MODULES_ALL, problem) != 0)
		return -1;
	if (services_prepare(worker->app, NAMES_MS, problem) != 0)
		return -1;
	/* A debugger is to see the crash itself. */
	if (!worker->setup->is_debugged &&
	    (crash_install(worker->app, modules) != 0 || restrict_process(worker->app) != 0))
		return problem_set_errno(problem);
	return 0;
}

int worker_run(const struct worker_setup *setup, const struct worker_role *role)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	struct worker worker = {
		.setup = setup,
		.role = role,
		.app = setup->generation->app,
		.settings = &setup->generation->settings,
		.slot = &setup->board->processes.slots[setup->slot],
		.hash_channel = -1,
		.requests_left = requests_with_jitter(setup->generation->settings.server.max_requests),
	};
	struct problem problem = {0};
	int status;

	keep_memory();
	worker.app->process = worker.slot;
	/* A limit on the size of files is a full disk to an upload, and no reason to end. */
	(void)signal(SIGXFSZ, SIG_IGN);
	if (ctx == NULL || prepare(&worker, ctx, &problem) != 0) {
		log_error("worker_failed", LOG_STR("problem", ctx != NULL ? problem.text : strerror(ENOMEM)));
		talloc_free(worker.app);
		talloc_free(ctx);
		return 1;
	}
	worker_set_idle(&worker);
	status = serve_until_stopped(&worker);
	modules_stop(worker.app);
	worker_set_permit(&worker, false);
	close(worker.signals);
	close(worker.epoll);
	hashing_close(&worker);
	talloc_free(worker.app);
	talloc_free(ctx);
	return status;
}
