/* What the master and its workers know of each other, in memory that they share. */
#ifndef BASE_SCOREBOARD_H
#define BASE_SCOREBOARD_H

#include "base/counters.h"
#include "base/rates.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* WAITING: a look-up of sessions is under way, and whatever comes meanwhile is taken. BUSY: it is not. */
enum worker_state {
	WORKER_NONE,
	WORKER_STARTING,
	WORKER_IDLE,
	WORKER_WAITING,
	WORKER_BUSY,
	WORKER_STOPPING,
	WORKER_STATE_COUNT
};

/* "idle" and so on: a constant string. */
const char *scoreboard_state_name(enum worker_state state);

enum process_role { ROLE_WORKER, ROLE_FALLBACK, ROLE_HASHER };

/*
 * A process: a worker; the attendant, which answers what needs no database while every worker is busy; or the hasher.
 * Written by that process, but for the first two, and for what follows a death: those are the master's. Any worker can
 * write to all of this, so the master takes what it reads here for a claim, and keeps its own counts.
 */
struct worker_slot {
	_Alignas(64) _Atomic pid_t pid; /* 0: nobody */
	_Atomic int role;
	_Atomic bool is_connected;    /* to the database */
	_Atomic bool has_permit;      /* at the listening sockets (pool/accept_permits.h) */
	_Atomic bool wants_recycling; /* it has answered server.max_requests */
	_Atomic int state;
	_Atomic int64_t started_ms;       /* clock_monotonic_ms() */
	_Atomic int64_t request_began_ms; /* of the request or look-up under way; 0: none */
	_Atomic uint32_t route;           /* of the request under way: see counters_add_request() */
	_Atomic int method;               /* of it, an enum ones_method */
	_Atomic uint64_t requests;        /* answered by this process */
};

/* The workers that a configuration may ask for, twice, those that go and those that come, an attendant, the hasher. */
#define SCOREBOARD_WORKERS_MAX 512
#define SCOREBOARD_SLOTS       (2 * SCOREBOARD_WORKERS_MAX + 2)

struct scoreboard {
	int64_t started_ms; /* the master: clock_monotonic_ms() */
	int64_t started_us; /* and clock_wall_us() */
	pid_t master;
	_Atomic bool is_closing;          /* the daemon stops, and nobody follows it on its sockets */
	_Atomic uint32_t hashing_in_use;  /* passwords that are being hashed */
	_Atomic uint32_t hashing_waiting; /* logins that wait for it */
	_Atomic uint32_t hashing_rank;    /* a login of this rank (see login_rank.h) or higher finds no place to wait */
	struct rates login_rates;
	struct worker_slot slots[SCOREBOARD_SLOTS];
	struct counters counters;
	_Atomic int64_t live_sessions;           /* at the last count; -1: there was none */
	_Atomic int64_t live_sessions_wanted_ms; /* when somebody asked for it last, clock_monotonic_ms() */
};

/* A board that is shared with every process forked from now on. NULL with errno when it cannot be made. */
struct scoreboard *scoreboard_new(void);

/* Give the memory back. */
void scoreboard_free(struct scoreboard *board);

/* True when no worker can be expected to take a connection soon: each has been busy for a while, or is not there. */
bool scoreboard_are_all_busy(struct scoreboard *board);

/* The hasher has ended: nothing is hashed, and nothing waits for it. */
void scoreboard_forget_hashing(struct scoreboard *board);

/* Whoever is at `slot` has ended; its place may be taken again. */
void scoreboard_clear(struct scoreboard *board, size_t slot);

/* True when any worker but the one at `slot` is connected to the database. */
bool scoreboard_is_another_connected(const struct scoreboard *board, size_t slot);

/* True when any of those gets answers from it in time, or would: it has not waited for one since `late_ms` or longer.
 */
bool scoreboard_is_another_answered(const struct scoreboard *board, size_t slot, int64_t late_ms);

#endif
