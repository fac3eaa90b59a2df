/*
 * A worker: one loop over its connections, the database and the hasher, in which nothing blocks but the handlers that
 * themselves wait for the database; no slow peer holds it up.
 */
#ifndef POOL_WORKER_H
#define POOL_WORKER_H

#include "pool/generation.h"
#include "pool/listeners.h"

struct worker_setup {
	const struct generation *generation;
	const struct listeners *listeners;
	struct scoreboard *board;
	size_t slot;
	bool is_fallback;
	const int *handoff; /* handoff_open()'s ends: connections for the worker that is free first */
	int hashing;        /* where the hasher learns of workers */
	int accept_permits; /* at the listening sockets; the attendant needs none */
};

/*
 * Serve until told to stop by SIGTERM or SIGQUIT; what has been taken is finished first. After max_requests it says on
 * the scoreboard that it wants to be relieved, and serves on until it is told. Called in a process of its own, with all
 * signals blocked. Returns its exit status.
 *
 * The attendant is one that has no database. It takes connections only while every worker has been busy for a while,
 * answers what needs no database, /status above all, and hands all others on, untouched, to the worker that is free
 * first.
 */
int worker_run(const struct worker_setup *setup);

#endif
