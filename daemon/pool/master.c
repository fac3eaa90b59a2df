/* The master's loop. */
#include "pool/master.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/master_core.h"
#include "pool/probe.h"
#include "pool/reload.h"
#include "pool/service.h"
#include "pool/spawn.h"
#include "pool/stop.h"
#include "pool/supervision.h"
#include "pool/upgrade.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How often the deadlines of requests are checked, and everything else for which there is no signal. */
#define HOUSEKEEPING_MS 250
/* How often the service manager's status line is updated. */
#define STATUS_MS 10000

/* ---- Signals ------------------------------------------------------------------------------------------------ */

static void ignore(int signal)
{
	(void)signal;
}

static void signals_set(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < master_signal_count; i++)
		sigaddset(set, master_signals[i]);
}

int master_block_signals(struct problem *problem)
{
	/* libfcgi installs handlers of its own for signals that have none. */
	const struct sigaction handle = {.sa_handler = ignore};
	const struct sigaction pipe = {.sa_handler = SIG_IGN};
	sigset_t set;

	signals_set(&set);
	for (size_t i = 0; i < master_signal_count; i++) {
		if (sigaction(master_signals[i], &handle, NULL) != 0)
			return problem_set_errno(problem);
	}
	if (sigaction(SIGPIPE, &pipe, NULL) != 0 || sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return problem_set_errno(problem);
	return 0;
}

static void reopen_logs(const struct master *master)
{
	if (log_reopen() == 0)
		log_info("log_reopened", LOG_STR("signal", strsignal(SIGUSR1)));
	else
		log_error("log_not_reopened", LOG_STR("problem", strerror(errno)),
		          LOG_STR("in_force", "the file that was open"));
	children_signal(master->children, SIGUSR1);
}

static void take_signal(struct master *master, int signal)
{
	switch (signal) {
	case SIGTERM:
	case SIGQUIT:
		if (!master->stop.is_begun)
			stop_begin(master, strsignal(signal));
		break;
	case SIGINT: stop_at_once(master, strsignal(signal)); break;
	case SIGHUP:
		if (!master->stop.is_begun)
			reload_begin(master);
		break;
	case SIGUSR1: reopen_logs(master); break;
	case SIGUSR2:
		if (!master->stop.is_begun)
			upgrade_begin(master);
		break;
	default: break;
	}
}

/* ---- Children ----------------------------------------------------------------------------------------------- */

static void reap(struct master *master)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (!children_reap(master->children, pid, status) && !helpers_reap(&master->helpers, pid) &&
		    !reload_reap(master, pid, status))
			(void)upgrade_reap(master, pid, status);
	}
}

static bool are_children_left(const struct master *master)
{
	return children_count(master->children, NULL, CHILDREN_ALL) > 0 || helpers_are_running(&master->helpers) ||
	       master->upgrade.successor.pid != 0 || master->reload.probe != 0 || master->reload.check.pid != 0;
}

/* ---- The service manager ------------------------------------------------------------------------------------ */

/* Our workers have come up for the first time. */
static void announce(struct master *master)
{
	if (master->is_announced || !children_are_up(master->children, master->current))
		return;
	master->is_announced = true;
	if (master->setup->upgraded_from >= 0)
		successor_report_up(master->setup->upgraded_from);
	master->keeps_paths = false;
	children_spawn_jobs(master->children, master->current);
	service_ready();
	log_info("ready", LOG_INT("workers", master_settings(master)->server.workers));
}

static void update_status(struct master *master)
{
	const struct scoreboard *board = master->setup->board;
	size_t busy = 0;

	if (!master->is_announced || clock_until_ms(master->status_at) > 0)
		return;
	master->status_at = clock_monotonic_ms() + STATUS_MS;
	for (size_t i = 0; i < PROCESS_SLOTS; i++)
		busy += atomic_load(&board->processes.slots[i].state) == WORKER_BUSY;
	service_status("%lld workers, %zu busy; %llu logins, %llu displacements; %llu workers died",
	               (long long)master_settings(master)->server.workers, busy,
	               (unsigned long long)atomic_load(&board->counters.all[COUNTER_LOGINS]),
	               (unsigned long long)atomic_load(&board->counters.all[COUNTER_DISPLACEMENTS]),
	               (unsigned long long)children_deaths(master->children));
}

/* The binary before us ends after its last process. What is shown of that any process can have written over. */
static void look_for_predecessor(struct master *master)
{
	if (getppid() != master->predecessor)
		master->predecessor = 0;
	atomic_store(&master->setup->board->master.is_succeeding, master->predecessor != 0);
}

/* ---- The loop ----------------------------------------------------------------------------------------------- */

static void housekeeping(struct master *master)
{
	children_kill_overdue(master->children);
	if (master->stop.is_begun) {
		stop_step(master);
		return;
	}
	reload_step(master);
	upgrade_step(master);
	children_repair_scoreboard(master->children);
	children_recycle(master->children);
	children_start_missing(master->children);
	helpers_count_when_wanted(&master->helpers, master_settings(master), master->setup->board);
	look_for_predecessor(master);
	announce(master);
	if (master->is_announced)
		children_spawn_fallback(master->children, master->current);
	update_status(master);
	reload_free_retired(master);
}

/* Returns 0, or -1 when it has been logged why not. */
static int start(struct master *master)
{
	const struct master_setup *setup = master->setup;
	struct problem problem = {0};

	master->children = children_new(setup->ctx, setup->board, setup->listeners, &problem);
	if (master->children == NULL) {
		log_error("start_failed", LOG_STR("problem", problem.text));
		return -1;
	}
	/* What the probe has found is logged. */
	if (!probe_has_right_schema(master->current, setup->board))
		return -1;
	atomic_store(&setup->board->master.is_succeeding, master->predecessor != 0);
	children_spawn_hasher(master->children, master_settings(master));
	children_spawn_workers(master->children, master->current);
	helpers_count_when_wanted(&master->helpers, master_settings(master), setup->board);
	children_start_missing(master->children);
	listeners_log(setup->listeners);
	log_info("started", LOG_INT("workers", master_settings(master)->server.workers));
	return 0;
}

static void run_until_stopped(struct master *master)
{
	const struct timespec wait = {.tv_nsec = HOUSEKEEPING_MS * 1000000L};
	sigset_t signals;

	signals_set(&signals);
	do {
		int signal = sigtimedwait(&signals, NULL, &wait);

		if (signal > 0)
			take_signal(master, signal);
		reap(master);
		housekeeping(master);
		/* The service manager listens to one master of two: the one that has the sockets' paths. */
		if (master->is_announced && !master->keeps_paths)
			service_alive(&master->alive_at);
	} while (!master->stop.is_begun || are_children_left(master));
}

int master_run(const struct master_setup *setup)
{
	struct master master = {
		.setup = setup,
		.current = setup->generation,
		.upgrade = {.successor = {.fd = -1}},
		.predecessor = successor_predecessor(setup->upgraded_from),
		.keeps_paths = setup->upgraded_from >= 0,
	};

	if (start(&master) != 0) {
		if (!master.keeps_paths)
			listeners_unlink(setup->listeners);
		return 1;
	}
	run_until_stopped(&master);
	log_info("stopped", LOG_INT("workers_lost", (int64_t)children_deaths(master.children)),
	         LOG_INT("requests_overdue", (int64_t)children_timeouts(master.children)));
	return 0;
}
