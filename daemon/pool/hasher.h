/*
 * The hasher: the one process that hashes passwords, login.max_hashing at the same time, at a lower priority than the
 * workers. Logins wait in its one queue (hash_queue.h) while they are parked in their workers.
 */
#ifndef POOL_HASHER_H
#define POOL_HASHER_H

#include "base/scoreboard.h"
#include "session/password.h"

#include <stddef.h>

struct hasher_setup {
	struct scoreboard *board;
	size_t slot;
	int registrations;         /* workers send it the ends of their channels */
	size_t thread_count;       /* passwords that are hashed at the same time */
	struct password_cost cost; /* to begin with: each job has its own */
};

/*
 * Hash until SIGTERM or SIGQUIT has come and nothing waits any more. Called in a process of its own, with all
 * signals blocked. Returns its exit status.
 */
int hasher_run(const struct hasher_setup *setup);

#endif
