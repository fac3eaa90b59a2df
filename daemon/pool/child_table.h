/* The master's own record of its children, which children.c fills and supervision.c watches. */
#ifndef POOL_CHILD_TABLE_H
#define POOL_CHILD_TABLE_H

#include "base/scoreboard.h"
#include "pool/children.h"
#include "pool/handoff.h"
#include "pool/hasher.h"

#include <stdint.h>
#include <sys/types.h>

/* A child that dies young is replaced later and later, so that a fault at start does not become a storm of forks. */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 10000

/* How long a worker whose request is overdue may take to log where it is. */
#define ABORT_MS 1000

struct child {
	bool is_wanted; /* a process is to run here */
	enum process_role role;
	const struct generation *generation; /* NULL for the hasher */
	int64_t request_timeout;
	pid_t pid; /* 0: no process runs */
	int64_t started_at;
	int64_t start_again_at;
	int64_t backoff;
	bool is_retiring;     /* signalled to end, and not to be replaced */
	int64_t retire_until; /* killed then */
	bool is_killed;       /* by us */
	int64_t kill_at;      /* it was told to abort, and is killed then; 0: it was not */
	bool has_failed;      /* a process here has ended without being signalled to */
	size_t successor;     /* the number, from 1 on, of the child for which this one retires; 0: none */
};

/* The number of no child. */
#define NO_CHILD PROCESS_SLOTS

struct children {
	struct scoreboard *board;
	const struct listeners *listeners;
	struct handoff_queues handoffs;
	int hash_registrations[2]; /* workers send the hasher (0) the ends of their channels through (1) */
	int accept_permits;
	size_t permit_count;
	uint64_t answered;     /* by all workers, when the scoreboard was last repaired */
	bool has_seen_waiting; /* connections in the listening sockets' queues, at that moment */
	struct hasher_setup hasher;
	size_t deaths, timeouts;
	int64_t fallback_backoff, fallback_again_at; /* as of a child: each fallback worker is a new one */
	struct child all[PROCESS_SLOTS];
};

/* The number of a free entry; NO_CHILD when there is none. */
size_t child_find_free(const struct children *children);

/* One that is wanted, and not started yet. */
struct child child_for(const struct generation *generation, enum process_role role);

/* True when it is one of those, wanted or still running. */
bool child_is_among(const struct child *child, const struct generation *generation, enum child_kinds kinds);

/* True when a worker has come as far as it can: it is connected to the database, or has tried. */
bool child_has_come_up(const struct children *children, size_t at);

#endif
