/* The processes that serve: their entries, and how they are started. */
#include "pool/children.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/accept_permits.h"
#include "pool/child_table.h"
#include "pool/fallback.h"
#include "pool/guard.h"
#include "pool/jobs.h"
#include "pool/regular.h"
#include "pool/spawn.h"
#include "pool/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- The table ---------------------------------------------------------------------------------------------- */

static void close_both(const int ends[2])
{
	for (size_t i = 0; i < 2; i++) {
		if (ends[i] >= 0)
			close(ends[i]);
	}
}

static int destroy(struct children *children)
{
	close_both(children->hash_registrations);
	for (size_t i = 0; i < HANDOFF_QUEUES; i++)
		close_both(children->handoffs.ends[i]);
	if (children->accept_permits >= 0)
		close(children->accept_permits);
	return 0;
}

/* Returns 0, or -1 with errno. */
static int open_queues(struct children *children)
{
	int *const ends[] = {children->hash_registrations, children->handoffs.ends[HANDOFF_ANY],
	                     children->handoffs.ends[HANDOFF_GUARDS], children->handoffs.ends[HANDOFF_FOREIGN]};
	const size_t count = sizeof ends / sizeof ends[0];
	size_t opened = 0;

	for (size_t i = 0; i < count; i++)
		ends[i][0] = ends[i][1] = -1;
	while (opened < count && handoff_open(ends[opened]) == 0)
		opened++;
	return opened == count ? 0 : -1;
}

struct children *children_new(TALLOC_CTX *ctx, struct scoreboard *board, const struct listeners *listeners,
                              struct problem *problem)
{
	struct children *children = talloc_zero(ctx, struct children);

	if (children == NULL) {
		errno = ENOMEM;
		(void)problem_set_errno(problem);
		return NULL;
	}
	children->board = board;
	children->listeners = listeners;
	children->permit_count = accept_permits_default();
	children->accept_permits = accept_permits_open(children->permit_count);
	talloc_set_destructor(children, destroy);
	if (open_queues(children) != 0 || children->accept_permits < 0) {
		(void)problem_set_errno(problem);
		TALLOC_FREE(children);
	}
	return children;
}

static bool is_free(const struct child *child)
{
	return !child->is_wanted && child->pid == 0;
}

size_t child_find_free(const struct children *children)
{
	size_t at = 0;

	while (at < PROCESS_SLOTS && !is_free(&children->all[at]))
		at++;
	return at;
}

struct child child_for(const struct generation *generation, enum process_role role)
{
	return (struct child){
		.is_wanted = true,
		.role = role,
		.generation = generation,
		.request_timeout = generation->settings.server.request_timeout,
	};
}

bool child_is_among(const struct child *child, const struct generation *generation, enum child_kinds kinds)
{
	if ((!child->is_wanted && child->pid == 0) || (generation != NULL && child->generation != generation))
		return false;
	switch (kinds) {
	case CHILDREN_WORKERS: return child->role != ROLE_HASHER && child->role != ROLE_JOBS;
	case CHILDREN_GUARDS: return child->role == ROLE_GUARD;
	case CHILDREN_FALLBACK: return child->role == ROLE_FALLBACK;
	case CHILDREN_JOBS: return child->role == ROLE_JOBS;
	default: return true;
	}
}

bool child_has_come_up(const struct children *children, size_t at)
{
	int state = atomic_load(&children->board->processes.slots[at].state);

	return children->all[at].pid != 0 && state != WORKER_NONE && state != WORKER_STARTING;
}

bool children_have_room(const struct children *children)
{
	size_t count = 0;

	for (size_t i = 0; i < PROCESS_SLOTS; i++)
		count += is_free(&children->all[i]);
	return count >= PROCESS_WORKERS_MAX;
}

void children_spawn_workers(struct children *children, const struct generation *generation)
{
	size_t wanted = (size_t)generation->settings.server.workers;

	for (size_t i = 0; i < PROCESS_SLOTS && wanted > 0; i++) {
		if (!is_free(&children->all[i]))
			continue;
		wanted--;
		children->all[i] = child_for(generation, wanted < generation->guard_workers ? ROLE_GUARD : ROLE_WORKER);
	}
}

void children_spawn_jobs(struct children *children, const struct generation *generation)
{
	const size_t at = child_find_free(children);

	if (at == NO_CHILD)
		log_error("jobs_failed", LOG_STR("problem", "there are too many processes: jobs do not run"));
	else
		children->all[at] = child_for(generation, ROLE_JOBS);
}

void children_spawn_hasher(struct children *children, const struct settings *settings)
{
	/* The last one, so that workers have the numbers from 0 on. */
	const size_t at = PROCESS_SLOTS - 1;

	children->hasher = (struct hasher_setup){
		.board = children->board,
		.slot = at,
		.registrations = children->hash_registrations[0],
		.cost = {.memory = settings->login.memory, .passes = settings->login.passes},
		.thread_count = (size_t)settings->login.max_hashing,
	};
	children->all[at] = (struct child){
		.is_wanted = true, .role = ROLE_HASHER, .request_timeout = settings->server.request_timeout};
}

/* ---- Starting ----------------------------------------------------------------------------------------------- */

/* What takes no connections. */
static void close_listeners(const struct children *children)
{
	for (size_t i = 0; i < children->listeners->count; i++)
		close(children->listeners->all[i].fd);
}

static int run_hasher(const struct children *children)
{
	close_listeners(children);
	return hasher_run(&children->hasher);
}

static int run_jobs(const struct children *children, size_t at)
{
	const struct jobs_setup setup = {
		.generation = children->all[at].generation, .board = children->board, .slot = at};

	close_listeners(children);
	return jobs_run(&setup);
}

static struct worker_setup setup_of(const struct children *children, size_t at)
{
	return (struct worker_setup){
		.generation = children->all[at].generation,
		.listeners = children->listeners,
		.board = children->board,
		.slot = at,
		.handoffs = &children->handoffs,
		.hash_registrations = children->hash_registrations[1],
		.accept_permits = children->accept_permits,
	};
}

/* In the child's own process. */
static int run_child(const struct children *children, size_t at)
{
	const struct child *child = &children->all[at];
	const struct worker_setup setup = setup_of(children, at);

	switch (child->role) {
	case ROLE_HASHER: return run_hasher(children);
	case ROLE_JOBS: return run_jobs(children, at);
	case ROLE_FALLBACK: return worker_run(&setup, &fallback_role);
	case ROLE_GUARD: return worker_run(&setup, &guard_role);
	default: return worker_run(&setup, &regular_role);
	}
}

/* Workers, which server.workers counts, have the program's own name. */
static const char *process_name(enum process_role role)
{
	switch (role) {
	case ROLE_FALLBACK: return "ones-fallback";
	case ROLE_HASHER: return "ones-hasher";
	case ROLE_JOBS: return "ones-jobs";
	default: return NULL;
	}
}

static void start_child(struct children *children, size_t at)
{
	struct child *child = &children->all[at];
	struct process_slot *slot = &children->board->processes.slots[at];
	pid_t pid;

	child->started_at = clock_monotonic_ms();
	child->is_killed = false;
	child->kill_at = 0;
	process_table_clear(&children->board->processes, at);
	atomic_store(&slot->started_ms, child->started_at);
	atomic_store(&slot->role, (int)child->role);
	atomic_store(&slot->state, (int)WORKER_STARTING);
	pid = spawn_child(process_name(child->role));
	if (pid == 0) {
		/* As the master does below: whichever is first, it is in the table before it serves. */
		atomic_store(&slot->pid, getpid());
		exit(run_child(children, at));
	}
	if (pid < 0) {
		child->has_failed = true;
		child->start_again_at = child->started_at + BACKOFF_MAX_MS;
		child->is_wanted = child->role != ROLE_FALLBACK;
		return;
	}
	if (child_is_among(child, NULL, CHILDREN_WORKERS))
		counters_add(&children->board->counters, COUNTER_WORKER_STARTS);
	child->pid = pid;
	atomic_store(&slot->pid, pid);
}

int children_debug_worker(struct children *children, const struct generation *generation)
{
	struct worker_setup setup;

	children->all[0] = child_for(generation, ROLE_WORKER);
	children->all[0].pid = getpid();
	atomic_store(&children->board->processes.slots[0].pid, getpid());
	setup = setup_of(children, 0);
	setup.is_debugged = true;
	/* There is no other worker to leave requests to. */
	generation->app->keeps_guards = false;
	return worker_run(&setup, &regular_role);
}

void children_spawn_fallback(struct children *children, const struct generation *generation)
{
	size_t at = child_find_free(children);

	if (at == NO_CHILD || clock_until_ms(children->fallback_again_at) > 0 ||
	    !process_table_are_workers_busy(&children->board->processes) ||
	    children_count(children, NULL, CHILDREN_FALLBACK) > 0)
		return;
	children->all[at] = child_for(generation, ROLE_FALLBACK);
	children->all[at].backoff = children->fallback_backoff;
	start_child(children, at);
}

void children_start_missing(struct children *children)
{
	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		const struct child *child = &children->all[i];

		if (child->is_wanted && child->role != ROLE_FALLBACK && !child->is_retiring && child->pid == 0 &&
		    clock_until_ms(child->start_again_at) == 0)
			start_child(children, i);
	}
}

/* ---- Their number and state --------------------------------------------------------------------------------- */

size_t children_count(const struct children *children, const struct generation *generation, enum child_kinds kinds)
{
	size_t count = 0;

	for (size_t i = 0; i < PROCESS_SLOTS; i++)
		count += child_is_among(&children->all[i], generation, kinds) && children->all[i].pid != 0;
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

	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		bool is_connected = atomic_load(&children->board->processes.slots[i].is_connected);

		if (!child_is_among(&children->all[i], NULL, CHILDREN_WORKERS))
			continue;
		if (children->all[i].generation != generation) {
			others += is_connected;
			continue;
		}
		if (!child_has_come_up(children, i))
			return false;
		own += is_connected;
	}
	return own > 0 || others == 0;
}

bool children_have_failed(const struct children *children, const struct generation *generation)
{
	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		if (child_is_among(&children->all[i], generation, CHILDREN_WORKERS) && children->all[i].has_failed)
			return true;
	}
	return false;
}
