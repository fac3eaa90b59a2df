#include "pool/master.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/scoreboard.h"
#include "pool/worker.h"
#include "session/sessions.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A worker that dies young is replaced later and later, so that a fault at start does not become a storm of forks. */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 10000
#define OLD_ENOUGH_MS  5000
/* How often the deadlines of requests are looked at. */
#define LOOK_MS 250
/* What the first look at the database says by its exit status. */
#define EXIT_SCHEMA 3

struct staff {
	pid_t pid; /* 0: none */
	int64_t started_at;
	int64_t start_again_at;
	int64_t backoff;
	bool is_overdue; /* killed for its request */
};

struct master {
	const struct master_setup *setup;
	struct scoreboard board;
	struct staff *staff; /* one for each of the board's slots */
	pid_t purger;        /* 0: none */
	int64_t purge_at;
	bool stopping;
	int64_t kill_at;
};

static const int handled[] = {SIGTERM, SIGQUIT, SIGINT, SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2};

static void ignore(int signal)
{
	(void)signal;
}

static void handled_set(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < sizeof handled / sizeof handled[0]; i++)
		sigaddset(set, handled[i]);
}

int master_block_signals(void)
{
	/* The library installs handlers of its own for those that have none. */
	const struct sigaction handle = {.sa_handler = ignore};
	const struct sigaction pipe = {.sa_handler = SIG_IGN};
	sigset_t set;

	handled_set(&set);
	for (size_t i = 0; i < sizeof handled / sizeof handled[0]; i++) {
		if (sigaction(handled[i], &handle, NULL) != 0)
			return -1;
	}
	return sigaction(SIGPIPE, &pipe, NULL) != 0 || sigprocmask(SIG_BLOCK, &set, NULL) != 0 ? -1 : 0;
}

/* Fork a child that does not outlive this process. Returns as fork() does. */
static pid_t fork_child(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
			_exit(1);
	} else if (pid < 0) {
		log_error("fork_failed", LOG_STR("problem", strerror(errno)));
	}
	return pid;
}

/* In a child that is no worker: a signal ends it as usual. */
static void restore_signals(void)
{
	const struct sigaction standard = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (size_t i = 0; i < sizeof handled / sizeof handled[0]; i++)
		(void)sigaction(handled[i], &standard, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- Workers ------------------------------------------------------------------------------------------------ */

static void start_worker(struct master *master, size_t slot)
{
	const struct worker_setup setup = {
		.app = master->setup->app,
		.listeners = master->setup->listeners,
		.peer_rules = master->setup->peer_rules,
		.board = &master->board,
		.slot = slot,
	};
	struct staff *staff = &master->staff[slot];
	struct worker_slot *place = &master->board.workers[slot];
	pid_t pid;

	atomic_store(&place->state, (int)WORKER_STARTING);
	atomic_store(&place->request_began_ms, 0);
	pid = fork_child();
	if (pid == 0)
		exit(worker_run(&setup));
	staff->started_at = clock_monotonic_ms();
	staff->is_overdue = false;
	if (pid < 0) {
		staff->start_again_at = staff->started_at + BACKOFF_MAX_MS;
		return;
	}
	staff->pid = pid;
	atomic_store(&place->pid, pid);
}

static void log_death(const struct staff *staff, size_t slot, int status)
{
	if (WIFSIGNALED(status))
		log_error("worker_killed", LOG_INT("worker", (int64_t)slot), LOG_INT("worker_pid", staff->pid),
		          LOG_STR("signal", strsignal(WTERMSIG(status))), LOG_INT("restart_in_ms", staff->backoff));
	else
		log_error("worker_failed", LOG_INT("worker", (int64_t)slot), LOG_INT("worker_pid", staff->pid),
		          LOG_INT("status", WEXITSTATUS(status)), LOG_INT("restart_in_ms", staff->backoff));
}

static void worker_ended(struct master *master, size_t slot, int status)
{
	struct staff *staff = &master->staff[slot];
	int64_t now = clock_monotonic_ms();
	bool is_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	scoreboard_free_hashing_places(&master->board, staff->pid);
	atomic_store(&master->board.workers[slot].pid, 0);
	atomic_store(&master->board.workers[slot].state, (int)WORKER_NONE);
	atomic_store(&master->board.workers[slot].request_began_ms, 0);
	if (is_well || now - staff->started_at >= OLD_ENOUGH_MS)
		staff->backoff = 0;
	else
		staff->backoff = staff->backoff == 0 ? BACKOFF_MIN_MS : 2 * staff->backoff;
	if (staff->backoff > BACKOFF_MAX_MS)
		staff->backoff = BACKOFF_MAX_MS;
	staff->start_again_at = now + staff->backoff;
	if (!is_well) {
		atomic_fetch_add(&master->board.deaths, 1);
		if (!(master->stopping && staff->is_overdue))
			log_death(staff, slot, status);
	}
	staff->pid = 0;
}

/* Collect every child that has ended. */
static void reap(struct master *master)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == master->purger) {
			master->purger = 0;
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				log_warning("purge_failed", LOG_INT("status", status));
		}
		for (size_t i = 0; i < master->board.worker_count; i++) {
			if (master->staff[i].pid == pid)
				worker_ended(master, i, status);
		}
	}
}

static void kill_overdue(struct master *master)
{
	int64_t now = clock_monotonic_ms();
	int64_t timeout = master->setup->settings->server.request_timeout;

	for (size_t i = 0; i < master->board.worker_count; i++) {
		struct staff *staff = &master->staff[i];
		int64_t began = atomic_load(&master->board.workers[i].request_began_ms);

		if (staff->pid == 0 || staff->is_overdue || began == 0 || now - began <= timeout)
			continue;
		atomic_fetch_add(&master->board.timeouts, 1);
		log_error("request_overdue", LOG_INT("worker", (int64_t)i), LOG_INT("worker_pid", staff->pid),
		          LOG_INT("ms", now - began),
		          LOG_INT("killed_so_far", (int64_t)atomic_load(&master->board.timeouts)));
		staff->is_overdue = true;
		(void)kill(staff->pid, SIGKILL);
	}
}

static void start_missing(struct master *master)
{
	for (size_t i = 0; i < master->board.worker_count; i++) {
		if (master->staff[i].pid == 0 && clock_until_ms(master->staff[i].start_again_at) == 0)
			start_worker(master, i);
	}
}

static size_t signal_workers(const struct master *master, int signal)
{
	size_t count = 0;

	for (size_t i = 0; i < master->board.worker_count; i++) {
		if (master->staff[i].pid != 0 && kill(master->staff[i].pid, signal) == 0)
			count++;
	}
	return count;
}

/* ---- The purge ---------------------------------------------------------------------------------------------- */

static int purge(const struct settings *settings)
{
	const struct purge_policy policy = {
		.idle_timeout_ms = settings->session.idle_timeout,
		.history_ms = settings->session.history,
	};
	struct purge_counts counts = {0};
	struct db *db = app_new_database(NULL, settings, "onesessiond purge");
	bool busy = false;

	if (db == NULL || db_connect(db) != DB_OK)
		return 0; /* the next one will do; the workers tell of the database */
	if (sessions_purge(db, &policy, &counts, &busy, NULL, NULL) != DB_OK)
		return 1;
	if (counts.sessions + counts.ended_sessions + counts.events > 0)
		log_info("purged", LOG_INT("sessions", counts.sessions),
		         LOG_INT("ended_sessions", counts.ended_sessions), LOG_INT("events", counts.events));
	talloc_free(db);
	return 0;
}

/* A process of its own, so that neither the master nor a worker is held up by it. */
static void purge_when_due(struct master *master)
{
	int64_t interval = master->setup->settings->session.purge_interval;
	pid_t pid;

	if (interval == 0 || master->purger != 0 || clock_until_ms(master->purge_at) > 0)
		return;
	master->purge_at = clock_monotonic_ms() + interval;
	pid = fork_child();
	if (pid == 0) {
		restore_signals();
		exit(purge(master->setup->settings));
	}
	if (pid > 0)
		master->purger = pid;
}

/* ---- Start and stop ----------------------------------------------------------------------------------------- */

static int look_at_database(const struct settings *settings)
{
	struct db *db = app_new_database(NULL, settings, "onesessiond start");
	int status = 0;

	if (db == NULL)
		return 1;
	if (db_connect(db) != DB_OK && db_schema_mismatch(db)) {
		log_error("wrong_schema", LOG_STR("problem", db_problem(db)));
		status = EXIT_SCHEMA;
	}
	talloc_free(db);
	return status;
}

/* A database that is away may come back, but one of another schema is not served. Returns false for that. */
static bool has_right_schema(const struct settings *settings)
{
	pid_t pid = fork_child();
	int status = 0;

	if (pid == 0) {
		restore_signals();
		exit(look_at_database(settings));
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return !(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SCHEMA);
}

static void begin_to_stop(struct master *master, int signal)
{
	log_info("stopping", LOG_STR("signal", strsignal(signal)),
	         LOG_STR("how", "requests under way are finished first"));
	master->stopping = true;
	master->kill_at = clock_monotonic_ms() + master->setup->settings->server.shutdown_timeout;
	/* Whoever looks for us from now on is told at once; whoever has connected is served. */
	listeners_unlink(master->setup->listeners);
	(void)signal_workers(master, SIGTERM);
	if (master->purger != 0)
		(void)kill(master->purger, SIGTERM);
}

static void kill_all(struct master *master)
{
	for (size_t i = 0; i < master->board.worker_count; i++)
		master->staff[i].is_overdue = true;
	(void)signal_workers(master, SIGKILL);
	if (master->purger != 0)
		(void)kill(master->purger, SIGKILL);
}

static void take_signal(struct master *master, int signal)
{
	switch (signal) {
	case SIGTERM:
	case SIGQUIT:
		if (!master->stopping)
			begin_to_stop(master, signal);
		break;
	case SIGINT:
		log_info("stopping", LOG_STR("signal", strsignal(signal)), LOG_STR("how", "at once"));
		master->stopping = true;
		master->kill_at = INT64_MAX;
		listeners_unlink(master->setup->listeners);
		kill_all(master);
		break;
	case SIGCHLD: break;
	default: log_warning("signal_ignored", LOG_STR("signal", strsignal(signal))); break;
	}
	reap(master);
}

static bool is_anyone_left(const struct master *master)
{
	for (size_t i = 0; i < master->board.worker_count; i++) {
		if (master->staff[i].pid != 0)
			return true;
	}
	return master->purger != 0;
}

int master_run(const struct master_setup *setup)
{
	const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
	struct master master = {.setup = setup};
	sigset_t signals;

	handled_set(&signals);
	if (scoreboard_init(&master.board, (size_t)setup->settings->server.workers,
	                    (size_t)setup->settings->login.max_hashing) != 0) {
		log_error("start_failed", LOG_STR("problem", strerror(errno)));
		return 1;
	}
	master.staff = talloc_zero_array(setup->app, struct staff, (unsigned int)master.board.worker_count);
	if (master.staff == NULL || !has_right_schema(setup->settings)) {
		listeners_unlink(setup->listeners);
		return 1;
	}
	master.purge_at = clock_monotonic_ms() + setup->settings->session.purge_interval;
	start_missing(&master);
	log_info("started", LOG_INT("workers", setup->settings->server.workers),
	         LOG_STR("listening_on", setup->listeners->all[0].name));
	for (;;) {
		int signal = sigtimedwait(&signals, NULL, &look);

		if (signal > 0)
			take_signal(&master, signal);
		kill_overdue(&master);
		if (!master.stopping) {
			start_missing(&master);
			purge_when_due(&master);
			continue;
		}
		if (!is_anyone_left(&master))
			break;
		if (clock_until_ms(master.kill_at) == 0) {
			log_error("stop_forced", LOG_STR("why", "past server.shutdown_timeout"));
			master.kill_at = INT64_MAX;
			kill_all(&master);
		}
	}
	log_info("stopped", LOG_INT("workers_lost", (int64_t)atomic_load(&master.board.deaths)),
	         LOG_INT("requests_overdue", (int64_t)atomic_load(&master.board.timeouts)));
	return 0;
}
