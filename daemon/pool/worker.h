/* A worker: takes connections, serves one request at a time, and lets no slow peer hold it up. */
#ifndef POOL_WORKER_H
#define POOL_WORKER_H

#include "pool/generation.h"
#include "pool/listeners.h"

struct worker_setup {
	const struct generation *generation;
	const struct listeners *listeners;
	struct scoreboard *board;
	size_t slot;
	bool is_attendant;
	int handoff; /* workers take connections from it, the attendant puts them there */
};

/*
 * Serve until told to stop by SIGTERM or SIGQUIT, or until max_requests; what has been taken is finished first.
 * Called in a process of its own, with all signals blocked. Returns its exit status.
 *
 * The attendant is one that has no database. It takes connections only while every worker has been busy for a while,
 * answers what needs no database, /status above all, and hands all others on, untouched, to the worker that is free
 * first.
 */
int worker_run(const struct worker_setup *setup);

#endif
