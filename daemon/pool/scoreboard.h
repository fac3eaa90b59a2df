/* What the master and its workers know of each other, in memory that they share. */
#ifndef POOL_SCOREBOARD_H
#define POOL_SCOREBOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum worker_state { WORKER_NONE, WORKER_STARTING, WORKER_IDLE, WORKER_BUSY, WORKER_STOPPING };

/* Written by its worker, but for `pid` and what follows a death, which are the master's. */
struct worker_slot {
	_Atomic pid_t pid;
	_Atomic int state;
	_Atomic int64_t request_began_ms; /* clock_monotonic_ms(); 0: none under way */
	_Atomic uint64_t requests;
};

struct scoreboard {
	size_t worker_count;
	size_t hashing_place_count;
	int hashing_event;         /* eventfd: becomes readable when a place comes free */
	_Atomic uint64_t deaths;   /* workers that ended other than by being told to */
	_Atomic uint64_t timeouts; /* of them, those killed for a request past its deadline */
	struct worker_slot *workers;
	_Atomic pid_t *hashing_holders; /* of each place: who is hashing, 0 for nobody */
};

/* Shared with every process forked from now on. Returns 0, or -1 with errno. */
int scoreboard_init(struct scoreboard *board, size_t worker_count, size_t hashing_place_count);

/* Take a place for hashing, of those on the host. False when all are taken. */
bool scoreboard_take_hashing_place(struct scoreboard *board, pid_t pid);

/* Give all places of `pid` back, and wake one who waits. Also for a process that has died. */
void scoreboard_free_hashing_places(struct scoreboard *board, pid_t pid);

#endif
