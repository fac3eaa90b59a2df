/* What becomes of the master's children once they run. */
#include "pool/supervision.h"

#include "api/routes.h"
#include "base/clock.h"
#include "base/log.h"
#include "pool/accept_permits.h"
#include "pool/child_table.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* One that has run for as long did not die young. */
#define OLD_ENOUGH_MS 5000

/* ---- Their end ---------------------------------------------------------------------------------------------- */

/* The route whose request it is at, as it says itself; empty names when it is at none. */
static struct route_name_copy claimed_route(const struct children *children, size_t at)
{
	const struct process_slot *slot = &children->board->processes.slots[at];
	struct route_name_copy name = {.module = ""};

	if (atomic_load(&slot->request_began_ms) != 0)
		(void)route_names_get(&children->board->routes, atomic_load(&slot->route), &name);
	return name;
}

static void log_death(const struct child *child, size_t number, int status, const struct route_name_copy *route)
{
	static const char *const killed[] = {[ROLE_HASHER] = "hasher_killed", [ROLE_JOBS] = "jobs_killed"};
	static const char *const failed[] = {[ROLE_HASHER] = "hasher_failed", [ROLE_JOBS] = "jobs_failed"};
	bool is_worker = child_is_among(child, NULL, CHILDREN_WORKERS);

	if (WIFSIGNALED(status) && is_worker)
		log_error("worker_killed", LOG_INT("worker", (int64_t)number), LOG_INT("worker_pid", child->pid),
		          LOG_STR("signal", strsignal(WTERMSIG(status))), LOG_STR("module", route->module),
		          LOG_STR("route", route->path), LOG_INT("restart_in_ms", child->backoff));
	else if (WIFSIGNALED(status))
		log_error(killed[child->role], LOG_INT("worker", (int64_t)number), LOG_INT("worker_pid", child->pid),
		          LOG_STR("signal", strsignal(WTERMSIG(status))), LOG_INT("restart_in_ms", child->backoff));
	else
		log_error(is_worker ? "worker_failed" : failed[child->role], LOG_INT("worker", (int64_t)number),
		          LOG_INT("worker_pid", child->pid), LOG_INT("status", WEXITSTATUS(status)),
		          LOG_INT("restart_in_ms", child->backoff));
}

static void set_backoff(struct children *children, struct child *child, bool is_well)
{
	int64_t now = clock_monotonic_ms();

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
}

static void reap_child(struct children *children, size_t at, int status)
{
	struct child *child = &children->all[at];
	bool is_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	struct route_name_copy route = claimed_route(children, at);

	process_table_clear(&children->board->processes, at);
	if (child->role == ROLE_HASHER)
		hash_gauges_reset(&children->board->hashing);
	if (child->role == ROLE_JOBS)
		job_table_release(&children->board->jobs, child->pid);
	set_backoff(children, child, is_well);
	if (!is_well) {
		child->has_failed = true;
		children->deaths++;
		counters_add(&children->board->counters, COUNTER_WORKER_DEATHS);
		if (!(child->is_retiring && (child->is_killed || child->kill_at != 0)))
			log_death(child, at, status, &route);
	}
	child->pid = 0;
	/* A worker that has a successor is replaced already. */
	if (child->is_retiring || child->role == ROLE_FALLBACK || child->successor != 0)
		child->is_wanted = false;
}

bool children_reap(struct children *children, pid_t pid, int status)
{
	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		if (children->all[i].pid == pid) {
			reap_child(children, i, status);
			return true;
		}
	}
	return false;
}

/* ---- Ending them -------------------------------------------------------------------------------------------- */

/* Every child that is killed is killed here, once. */
static void kill_child(struct child *child)
{
	if (child->pid == 0 || child->is_killed)
		return;
	child->is_killed = true;
	(void)kill(child->pid, SIGKILL);
}

/* What it was at is wanted, too: a worker logs that when it is told to abort. One that does not end is killed. */
static void abort_child(struct child *child)
{
	child->kill_at = clock_monotonic_ms() + ABORT_MS;
	(void)kill(child->pid, SIGABRT);
}

/* How long the request that began then may take: a worker's claim counts within the bounds of a route. */
static int64_t timeout_of(const struct child *child, struct process_slot *slot, int64_t began)
{
	int64_t claimed = atomic_load(&slot->timeout_ms);

	/* It has ended just now. */
	if (atomic_load(&slot->request_began_ms) != began)
		return INT64_MAX;
	return claimed >= ROUTE_TIMEOUT_MIN_MS && claimed <= ROUTE_TIMEOUT_MAX_MS ? claimed : child->request_timeout;
}

static void end_overdue(struct children *children, size_t at)
{
	struct child *child = &children->all[at];
	struct process_slot *slot = &children->board->processes.slots[at];
	int64_t began = atomic_load(&slot->request_began_ms);
	int64_t now = clock_monotonic_ms();

	/* A time before the start of the process was not written by it. */
	if (child->kill_at != 0) {
		if (now >= child->kill_at)
			kill_child(child);
	} else if (began >= child->started_at && now - began > timeout_of(child, slot, began)) {
		struct route_name_copy route = claimed_route(children, at);

		children->timeouts++;
		counters_add(&children->board->counters, COUNTER_WORKER_TIMEOUTS);
		log_error("request_overdue", LOG_INT("worker", (int64_t)at), LOG_INT("worker_pid", child->pid),
		          LOG_INT("ms", now - began), LOG_STR("module", route.module), LOG_STR("route", route.path),
		          LOG_INT("killed_so_far", (int64_t)children->timeouts));
		abort_child(child);
	} else if (child->is_retiring && now >= child->retire_until) {
		log_error("stop_forced", LOG_INT("worker", (int64_t)at), LOG_INT("worker_pid", child->pid),
		          LOG_STR("why", "past server.shutdown_timeout"));
		kill_child(child);
	}
}

void children_kill_overdue(struct children *children)
{
	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		if (children->all[i].pid != 0 && !children->all[i].is_killed)
			end_overdue(children, i);
	}
}

static void retire_child(struct child *child, int64_t deadline)
{
	child->is_retiring = true;
	child->retire_until = deadline;
	if (child->pid == 0)
		child->is_wanted = false;
	else
		(void)kill(child->pid, SIGTERM);
}

void children_retire(struct children *children, const struct generation *generation, enum child_kinds kinds,
                     int64_t deadline)
{
	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		struct child *child = &children->all[i];

		if (child_is_among(child, generation, kinds) && !child->is_retiring)
			retire_child(child, deadline);
	}
}

void children_kill(struct children *children)
{
	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		struct child *child = &children->all[i];

		child->is_retiring = true;
		if (child->pid == 0)
			child->is_wanted = false;
		kill_child(child);
	}
}

void children_signal(const struct children *children, int signal)
{
	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		if (children->all[i].pid != 0)
			(void)kill(children->all[i].pid, signal);
	}
}

/* ---- Recycling ---------------------------------------------------------------------------------------------- */

static void begin_recycling(struct children *children, size_t at)
{
	size_t successor = child_find_free(children);

	if (successor == NO_CHILD)
		return;
	children->all[successor] = child_for(children->all[at].generation, children->all[at].role);
	children->all[at].successor = successor + 1;
}

void children_recycle(struct children *children)
{
	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		struct child *child = &children->all[i];

		if (!process_role_is_worker(child->role) || child->pid == 0 || child->is_retiring)
			continue;
		if (child->successor == 0 && atomic_load(&children->board->processes.slots[i].wants_recycling))
			begin_recycling(children, i);
		else if (child->successor != 0 && child_has_come_up(children, child->successor - 1))
			retire_child(child, clock_monotonic_ms() + child->generation->settings.server.shutdown_timeout);
	}
}

/* ---- The process table and the accept permits --------------------------------------------------------------- */

static void repair_slot(struct children *children, size_t at)
{
	const struct child *child = &children->all[at];
	struct process_slot *slot = &children->board->processes.slots[at];

	if (child->pid == 0 && atomic_load(&slot->pid) != 0)
		process_table_clear(&children->board->processes, at);
	if (atomic_load(&slot->pid) != child->pid)
		atomic_store(&slot->pid, child->pid);
	if (child->pid != 0 && atomic_load(&slot->role) != (int)child->role)
		atomic_store(&slot->role, (int)child->role);
}

/*
 * A worker that has a permit may be stopped, in a debugger or by a resolver: when connections wait and no request was
 * answered since the last look, another one listens as well. A queue that is merely long is no standstill.
 */
static void repair_permits(struct children *children, size_t taken, uint64_t answered)
{
	bool is_waiting = listeners_have_waiting(children->listeners);

	if (is_waiting && children->has_seen_waiting && answered == children->answered)
		accept_permits_release(children->accept_permits);
	else if (taken != children->permit_count)
		accept_permits_audit(children->accept_permits, children->permit_count, taken);
	children->has_seen_waiting = is_waiting;
	children->answered = answered;
}

static bool runs_jobs(const struct children *children, pid_t pid)
{
	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		if (children->all[i].pid == pid && children->all[i].role == ROLE_JOBS)
			return true;
	}
	return false;
}

/* A job that nobody runs would wait for its end for ever. */
static void repair_jobs(struct children *children)
{
	for (size_t i = 0; i <= JOB_TABLE_SIZE; i++) {
		struct job_slot *slot = &children->board->jobs.slots[i];
		pid_t owner = atomic_load(&slot->owner);

		if (owner != 0 && !runs_jobs(children, owner))
			(void)atomic_compare_exchange_strong(&slot->owner, &owner, 0);
	}
}

void children_repair_scoreboard(struct children *children)
{
	size_t taken = 0;
	uint64_t answered = 0;

	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		const struct child *child = &children->all[i];
		const struct process_slot *slot = &children->board->processes.slots[i];

		repair_slot(children, i);
		taken += child->pid != 0 && process_role_is_worker(child->role) && atomic_load(&slot->has_permit);
		answered += atomic_load(&slot->requests);
	}
	repair_permits(children, taken, answered);
	repair_jobs(children);
}
