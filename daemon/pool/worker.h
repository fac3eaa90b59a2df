/*
 * A worker: one loop over its connections, the database and the hasher, in which nothing blocks but the handlers that
 * themselves wait for the database; a slow peer does not hold it up. What kind of worker it is, its role, is a struct
 * of hooks: regular.h, guard.h and fallback.h.
 */
#ifndef POOL_WORKER_H
#define POOL_WORKER_H

#include "pool/generation.h"
#include "pool/handoff.h"
#include "pool/listeners.h"

struct worker_role; /* worker_core.h */

struct worker_setup {
	const struct generation *generation;
	const struct listeners *listeners;
	struct scoreboard *board;
	size_t slot;
	const struct handoff_queues *handoffs;
	int hash_registrations; /* where the hasher learns of workers */
	int accept_permits;     /* the fallback worker needs none */
	bool is_debugged;       /* it is not restricted */
};

/*
 * Serve until SIGTERM or SIGQUIT; the requests that have been taken are finished first. After max_requests it asks on
 * the scoreboard to be recycled, and serves on until the signal comes. Called in a process of its own, with all signals
 * blocked. Returns its exit status.
 */
int worker_run(const struct worker_setup *setup, const struct worker_role *role);

#endif
