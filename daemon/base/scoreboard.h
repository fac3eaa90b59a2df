/* What the master and its workers know of each other, in memory that they share. */
#ifndef BASE_SCOREBOARD_H
#define BASE_SCOREBOARD_H

#include "base/counters.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum worker_state { WORKER_NONE, WORKER_STARTING, WORKER_IDLE, WORKER_BUSY, WORKER_STOPPING, WORKER_STATE_COUNT };

/* "idle" and so on: a constant string. */
const char *scoreboard_state_name(enum worker_state state);

/* A worker_slot's route while the request is still being read. */
#define SCOREBOARD_READING UINT32_MAX

/*
 * A process that takes requests: a worker, or the attendant, which answers what needs no database while every worker
 * is busy. Written by that process, but for the first line, and for what follows a death: those are the master's.
 */
struct worker_slot {
	_Alignas(64) _Atomic pid_t pid; /* 0: nobody */
	_Atomic bool is_attendant;
	_Atomic int state;
	_Atomic int64_t started_ms;       /* clock_monotonic_ms() */
	_Atomic int64_t request_began_ms; /* 0: none under way */
	_Atomic uint32_t route;           /* of the request under way: see counters_add_request() */
	_Atomic int method;               /* of it, an enum ones_method */
	_Atomic uint64_t requests;        /* answered by this process */
};

/* The workers that a configuration may ask for, twice, those that go and those that come, and an attendant. */
#define SCOREBOARD_WORKERS_MAX 512
#define SCOREBOARD_SLOTS       (2 * SCOREBOARD_WORKERS_MAX + 1)

struct scoreboard {
	int64_t started_ms; /* the master: clock_monotonic_ms() */
	int64_t started_us; /* and clock_wall_us() */
	pid_t master;
	_Atomic bool is_closing; /* the daemon stops, and nobody follows it on its sockets */
	size_t hashing_place_count;
	int hashing_event;             /* eventfd: becomes readable when a place comes free */
	_Atomic int64_t turn_since_us; /* clock_monotonic_us(); 0: it is nobody's turn */
	struct worker_slot slots[SCOREBOARD_SLOTS];
	struct counters counters;
	_Atomic int64_t live_sessions;            /* -1: not known */
	_Atomic int64_t live_sessions_counted_ms; /* when, clock_monotonic_ms(); 0: never */
	_Atomic pid_t hashing_holders[];          /* of each place: who is hashing, 0 for nobody */
};

/* A board that is shared with every process forked from now on. NULL with errno when it cannot be made. */
struct scoreboard *scoreboard_new(size_t hashing_place_count);

/* Give the memory and the descriptor back. */
void scoreboard_free(struct scoreboard *board);

/* True when no worker can be expected to take a connection soon: each has been busy for a while, or is not there. */
bool scoreboard_are_all_busy(struct scoreboard *board);

/* Whoever is at `slot` has ended; its place may be taken again. */
void scoreboard_clear(struct scoreboard *board, size_t slot);

/*
 * It is a worker's turn while it takes connections and serves them together; others let what comes meanwhile wait for
 * its next turn. Nobody waits for one that takes long, or for ever, so a turn needs no owner: two at once do no harm.
 * scoreboard_begin_turn() returns what scoreboard_end_turn() wants.
 */
int64_t scoreboard_begin_turn(struct scoreboard *board);
void scoreboard_end_turn(struct scoreboard *board, int64_t since_us);
bool scoreboard_is_turn_under_way(const struct scoreboard *board);

/* Take a place for hashing, of those on the host. False when all are taken. */
bool scoreboard_take_hashing_place(struct scoreboard *board, pid_t pid);

/* Give all places of `pid` back, and wake one who waits. Also for a process that has died. */
void scoreboard_free_hashing_places(struct scoreboard *board, pid_t pid);

#endif
