/* A worker: takes connections, serves one request at a time, and lets no slow peer hold it up. */
#ifndef POOL_WORKER_H
#define POOL_WORKER_H

#include "api/app.h"
#include "pool/listeners.h"
#include "pool/peers.h"
#include "pool/scoreboard.h"

struct worker_setup {
	struct ones_app *app;
	const struct listeners *listeners;
	const struct peer_rules *peer_rules;
	struct scoreboard *board;
	size_t slot;
};

/*
 * Serve until told to stop by SIGTERM or SIGQUIT, or until max_requests; what has been taken is finished first.
 * Called in a process of its own, with all signals blocked. Returns its exit status.
 */
int worker_run(const struct worker_setup *setup);

#endif
