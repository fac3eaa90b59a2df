#include "pool/children.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/handoff.h"
#include "pool/hasher.h"
#include "pool/accept_permits.h"
#include "pool/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A worker that dies young is replaced later and later, so that a fault at start does not become a storm of
 * forks. */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 10000
#define OLD_ENOUGH_MS  5000

struct child {
	bool is_wanted; /* somebody is to be here */
	enum process_role role;
	const struct generation *generation; /* NULL for the hasher */
	int64_t request_timeout;
	pid_t pid; /* 0: nobody is here */
	int64_t started_at;
	int64_t start_again_at;
	int64_t backoff;
	bool is_dismissed; /* is to go, and not to be replaced */
	int64_t go_until;  /* then */
	bool is_killed;    /* by us */
	bool has_failed;   /* somebody here has ended other than by being told to */
	size_t successor;  /* who is here goes when somebody is there; 0: not yet (1 is the first child) */
};

/* Nobody's child. */
#define NO_CHILD SCOREBOARD_SLOTS

struct children {
	struct scoreboard *board;
	const struct listeners *listeners;
	int handoff[2]; /* where connections are put (1) that are for who is free first, and taken from (0) */
	int hashing[2]; /* where workers tell the hasher (0) of themselves (1) */
	int accept_permits;
	size_t permit_count;
	uint64_t answered;     /* by all workers, at the look before */
	bool has_seen_waiting; /* a connection that nobody had accepted, at that look */
	struct hasher_setup hasher;
	size_t deaths, timeouts;
	int64_t fallback_backoff, fallback_again_at; /* as of a child: each attendant has a new one */
	struct child all[SCOREBOARD_SLOTS];
};

const int master_signals[] = {SIGTERM, SIGQUIT, SIGINT, SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2};
const size_t master_signal_count = sizeof master_signals / sizeof master_signals[0];

static int children_destroy(struct children *children)
{
	for (size_t end = 0; end < 2; end++) {
		close(children->handoff[end]);
		close(children->hashing[end]);
	}
	close(children->accept_permits);
	return 0;
}

struct children *children_new(TALLOC_CTX *ctx, struct scoreboard *board, const struct listeners *listeners)
{
	struct children *children = talloc_zero(ctx, struct children);

	if (children == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	children->board = board;
	children->listeners = listeners;
	if (handoff_open(children->handoff) != 0) {
		talloc_free(children);
		return NULL;
	}
	children->permit_count = accept_permits_default();
	children->accept_permits = accept_permits_open(children->permit_count);
	if (children->accept_permits < 0 || handoff_open(children->hashing) != 0) {
		if (children->accept_permits >= 0)
			close(children->accept_permits);
		close(children->handoff[0]);
		close(children->handoff[1]);
		talloc_free(children);
		return NULL;
	}
	talloc_set_destructor(children, children_destroy);
	return children;
}

/* ---- Starting ----------------------------------------------------------------------------------------------- */

/*
 * Fork a child that does not outlive this process. Returns as fork() does. It is born with its `name`, which ps(1) and
 * top(1) show (prctl(2), PR_SET_NAME), for one that names itself is taken for a worker until it does. NULL: our own.
 */
static pid_t fork_child(const char *name)
{
	char own[16] = "";
	pid_t parent = getpid();
	pid_t pid;

	(void)prctl(PR_GET_NAME, own);
	if (name != NULL)
		(void)prctl(PR_SET_NAME, name);
	pid = fork();
	if (pid != 0)
		(void)prctl(PR_SET_NAME, own);
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
			_exit(1);
	} else if (pid < 0) {
		log_error("fork_failed", LOG_STR("problem", strerror(errno)));
	}
	return pid;
}

pid_t fork_helper(const char *name)
{
	const struct sigaction standard = {.sa_handler = SIG_DFL};
	pid_t pid = fork_child(name);
	sigset_t none;

	if (pid != 0)
		return pid;
	for (size_t i = 0; i < master_signal_count; i++)
		(void)sigaction(master_signals[i], &standard, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

static bool is_free(const struct child *child)
{
	return !child->is_wanted && child->pid == 0;
}

/* NO_CHILD when there is none. */
static size_t find_free(const struct children *children)
{
	size_t at = 0;

	while (at < SCOREBOARD_SLOTS && !is_free(&children->all[at]))
		at++;
	return at;
}

static struct child child_for(const struct generation *generation, enum process_role role)
{
	return (struct child){
		.is_wanted = true,
		.role = role,
		.generation = generation,
		.request_timeout = generation->settings.server.request_timeout,
	};
}

bool children_have_room(const struct children *children)
{
	size_t count = 0;

	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++)
		count += is_free(&children->all[i]);
	return count >= SCOREBOARD_WORKERS_MAX;
}

void children_spawn_workers(struct children *children, const struct generation *generation)
{
	size_t wanted = (size_t)generation->settings.server.workers;

	for (size_t i = 0; i < SCOREBOARD_SLOTS && wanted > 0; i++) {
		if (!is_free(&children->all[i]))
			continue;
		wanted--;
		children->all[i] = child_for(generation, ROLE_WORKER);
	}
}

void children_spawn_hasher(struct children *children, const struct settings *settings)
{
	/* The last one, so that workers have the numbers from 0 on. */
	const size_t at = SCOREBOARD_SLOTS - 1;

	children->hasher = (struct hasher_setup){
		.board = children->board,
		.slot = at,
		.registration = children->hashing[0],
		.cost = {.memory = settings->login.memory, .passes = settings->login.passes},
		.thread_count = (size_t)settings->login.max_hashing,
	};
	children->all[at] = (struct child){
		.is_wanted = true, .role = ROLE_HASHER, .request_timeout = settings->server.request_timeout};
}

/* In the process of its own that a child has got. */
static int run_child(const struct children *children, size_t at)
{
	const struct child *child = &children->all[at];
	const struct worker_setup setup = {
		.generation = child->generation,
		.listeners = children->listeners,
		.board = children->board,
		.slot = at,
		.is_fallback = child->role == ROLE_FALLBACK,
		.handoff = children->handoff,
		.hashing = children->hashing[1],
		.accept_permits = children->accept_permits,
	};

	if (child->role != ROLE_HASHER)
		return worker_run(&setup);
	/* It is none of those who take connections. */
	for (size_t i = 0; i < children->listeners->count; i++)
		close(children->listeners->all[i].fd);
	return hasher_run(&children->hasher);
}

/* Workers, which server.workers counts, are called as the program is. */
static const char *name_of(enum process_role role)
{
	if (role == ROLE_FALLBACK)
		return "onesession-tend";
	return role == ROLE_HASHER ? "onesession-hash" : NULL;
}

static void start_child(struct children *children, size_t at)
{
	struct child *child = &children->all[at];
	struct worker_slot *slot = &children->board->slots[at];
	pid_t pid;

	child->started_at = clock_monotonic_ms();
	child->is_killed = false;
	scoreboard_clear(children->board, at);
	atomic_store(&slot->started_ms, child->started_at);
	atomic_store(&slot->role, (int)child->role);
	atomic_store(&slot->state, (int)WORKER_STARTING);
	pid = fork_child(name_of(child->role));
	if (pid == 0) {
		/* As the master does below: whoever is first, it is on the board before it serves. */
		atomic_store(&slot->pid, getpid());
		exit(run_child(children, at));
	}
	if (pid < 0) {
		child->has_failed = true;
		child->start_again_at = child->started_at + BACKOFF_MAX_MS;
		child->is_wanted = child->role != ROLE_FALLBACK;
		return;
	}
	if (child->role != ROLE_HASHER)
		counters_add(&children->board->counters, COUNTER_WORKER_STARTS);
	child->pid = pid;
	atomic_store(&slot->pid, pid);
}

void children_spawn_fallback(struct children *children, const struct generation *generation)
{
	size_t at = find_free(children);

	if (at == NO_CHILD || clock_until_ms(children->fallback_again_at) > 0 ||
	    !scoreboard_are_all_busy(children->board) || children_count(children, NULL, CHILDREN_FALLBACK) > 0)
		return;
	children->all[at] = child_for(generation, ROLE_FALLBACK);
	children->all[at].backoff = children->fallback_backoff;
	start_child(children, at);
}

void children_start_missing(struct children *children)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct child *child = &children->all[i];

		if (child->is_wanted && child->role != ROLE_FALLBACK && !child->is_dismissed && child->pid == 0 &&
		    clock_until_ms(child->start_again_at) == 0)
			start_child(children, i);
	}
}

/* ---- Ending ------------------------------------------------------------------------------------------------- */

static void log_death(const struct child *child, size_t number, int status)
{
	bool is_hasher = child->role == ROLE_HASHER;

	if (WIFSIGNALED(status))
		log_error(is_hasher ? "hasher_killed" : "worker_killed", LOG_INT("worker", (int64_t)number),
		          LOG_INT("worker_pid", child->pid), LOG_STR("signal", strsignal(WTERMSIG(status))),
		          LOG_INT("restart_in_ms", child->backoff));
	else
		log_error(is_hasher ? "hasher_failed" : "worker_failed", LOG_INT("worker", (int64_t)number),
		          LOG_INT("worker_pid", child->pid), LOG_INT("status", WEXITSTATUS(status)),
		          LOG_INT("restart_in_ms", child->backoff));
}

static void reap_child(struct children *children, size_t at, int status)
{
	struct child *child = &children->all[at];
	int64_t now = clock_monotonic_ms();
	bool is_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	scoreboard_clear(children->board, at);
	if (child->role == ROLE_HASHER)
		scoreboard_forget_hashing(children->board);
	if (is_well || now - child->started_at >= OLD_ENOUGH_MS)
		child->backoff = 0;
	else
		child->backoff = child->backoff == 0 ? BACKOFF_MIN_MS : 2 * child->backoff;
	if (child->backoff > BACKOFF_MAX_MS)
		child->backoff = BACKOFF_MAX_MS;
	child->start_again_at = now + child->backoff;
	if (child->role == ROLE_FALLBACK) {
		children->fallback_backoff = child->backoff;
		children->fallback_again_at = child->start_again_at;
	}
	if (!is_well) {
		child->has_failed = true;
		children->deaths++;
		counters_add(&children->board->counters, COUNTER_WORKER_DEATHS);
		if (!(child->is_dismissed && child->is_killed))
			log_death(child, at, status);
	}
	child->pid = 0;
	/* Whoever has a successor is not replaced once more. */
	if (child->is_dismissed || child->role == ROLE_FALLBACK || child->successor != 0)
		child->is_wanted = false;
}

bool children_reap(struct children *children, pid_t pid, int status)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		if (children->all[i].pid == pid) {
			reap_child(children, i, status);
			return true;
		}
	}
	return false;
}

static void kill_child(struct child *child)
{
	child->is_killed = true;
	(void)kill(child->pid, SIGKILL);
}

void children_kill_overdue(struct children *children)
{
	int64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct child *child = &children->all[i];
		int64_t began = atomic_load(&children->board->slots[i].request_began_ms);

		if (child->pid == 0 || child->is_killed)
			continue;
		/* What it cannot have begun then it has not written. */
		if (began >= child->started_at && now - began > child->request_timeout) {
			children->timeouts++;
			counters_add(&children->board->counters, COUNTER_WORKER_TIMEOUTS);
			log_error("request_overdue", LOG_INT("worker", (int64_t)i), LOG_INT("worker_pid", child->pid),
			          LOG_INT("ms", now - began), LOG_INT("killed_so_far", (int64_t)children->timeouts));
			kill_child(child);
		} else if (child->is_dismissed && now >= child->go_until) {
			log_error("stop_forced", LOG_INT("worker", (int64_t)i), LOG_INT("worker_pid", child->pid),
			          LOG_STR("why", "past server.shutdown_timeout"));
			kill_child(child);
		}
	}
}

static bool is_meant(const struct child *child, const struct generation *generation, enum child_kinds who)
{
	return (child->is_wanted || child->pid != 0) && (generation == NULL || child->generation == generation) &&
	       (who == CHILDREN_ALL || (who == CHILDREN_WORKERS && child->role != ROLE_HASHER) ||
	        child->role == ROLE_FALLBACK);
}

static void retire_child(struct child *child, int64_t deadline)
{
	child->is_dismissed = true;
	child->go_until = deadline;
	if (child->pid == 0)
		child->is_wanted = false;
	else
		(void)kill(child->pid, SIGTERM);
}

void children_retire(struct children *children, const struct generation *generation, enum child_kinds who,
                     int64_t deadline)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct child *child = &children->all[i];

		if (is_meant(child, generation, who) && !child->is_dismissed)
			retire_child(child, deadline);
	}
}

/* Whether it has come as far as it can: it is connected, or has tried. */
static bool has_come_up(const struct children *children, size_t at)
{
	int state = atomic_load(&children->board->slots[at].state);

	return children->all[at].pid != 0 && state != WORKER_NONE && state != WORKER_STARTING;
}

static void begin_recycling(struct children *children, size_t at)
{
	size_t successor = find_free(children);

	if (successor == NO_CHILD)
		return;
	children->all[successor] = child_for(children->all[at].generation, ROLE_WORKER);
	children->all[at].successor = successor + 1;
}

void children_recycle(struct children *children)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct child *child = &children->all[i];

		if (child->role != ROLE_WORKER || child->pid == 0 || child->is_dismissed)
			continue;
		if (child->successor == 0 && atomic_load(&children->board->slots[i].wants_recycling))
			begin_recycling(children, i);
		else if (child->successor != 0 && has_come_up(children, child->successor - 1))
			retire_child(child, clock_monotonic_ms() + child->generation->settings.server.shutdown_timeout);
	}
}

void children_repair_scoreboard(struct children *children)
{
	size_t seated = 0;
	uint64_t answered = 0;
	bool is_waiting;

	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct child *child = &children->all[i];
		struct worker_slot *slot = &children->board->slots[i];

		if (child->pid == 0 && atomic_load(&slot->pid) != 0)
			scoreboard_clear(children->board, i);
		if (atomic_load(&slot->pid) != child->pid)
			atomic_store(&slot->pid, child->pid);
		if (child->pid != 0 && atomic_load(&slot->role) != (int)child->role)
			atomic_store(&slot->role, (int)child->role);
		seated += child->pid != 0 && child->role == ROLE_WORKER && atomic_load(&slot->has_permit);
		answered += atomic_load(&slot->requests);
	}
	/*
	 * Whoever has a seat may be stopped, in a debugger or by a resolver: then another one listens as well. A queue
	 * that only is long is nobody's standstill.
	 */
	is_waiting = listeners_have_waiting(children->listeners);
	if (is_waiting && children->has_seen_waiting && answered == children->answered)
		accept_permits_release(children->accept_permits);
	else if (seated != children->permit_count)
		accept_permits_audit(children->accept_permits, children->permit_count, seated);
	children->has_seen_waiting = is_waiting;
	children->answered = answered;
}

void children_kill(struct children *children)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct child *child = &children->all[i];

		child->is_dismissed = true;
		if (child->pid == 0)
			child->is_wanted = false;
		else
			kill_child(child);
	}
}

void children_signal(const struct children *children, int signal)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		if (children->all[i].pid != 0)
			(void)kill(children->all[i].pid, signal);
	}
}

/* ---- Asking ------------------------------------------------------------------------------------------------- */

size_t children_count(const struct children *children, const struct generation *generation, enum child_kinds who)
{
	size_t count = 0;

	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++)
		count += is_meant(&children->all[i], generation, who) && children->all[i].pid != 0;
	return count;
}

size_t children_deaths(const struct children *children)
{
	return children->deaths;
}

size_t children_timeouts(const struct children *children)
{
	return children->timeouts;
}

bool children_are_up(const struct children *children, const struct generation *generation)
{
	size_t own = 0, others = 0;

	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		bool is_connected = atomic_load(&children->board->slots[i].is_connected);

		if (!is_meant(&children->all[i], NULL, CHILDREN_WORKERS))
			continue;
		if (children->all[i].generation != generation) {
			others += is_connected;
			continue;
		}
		if (!has_come_up(children, i))
			return false;
		own += is_connected;
	}
	return own > 0 || others == 0;
}

bool children_have_failed(const struct children *children, const struct generation *generation)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		if (is_meant(&children->all[i], generation, CHILDREN_WORKERS) && children->all[i].has_failed)
			return true;
	}
	return false;
}
