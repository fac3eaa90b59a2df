/* The table of the daemon's processes: a slot for each worker, the fallback worker and the hasher, in shared memory. */
#ifndef BASE_PROCESS_TABLE_H
#define BASE_PROCESS_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* WAITING: a look-up of sessions is under way, and new connections are taken meanwhile. BUSY: they are not. */
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
const char *worker_state_name(enum worker_state state);

enum process_role { ROLE_WORKER, ROLE_GUARD, ROLE_FALLBACK, ROLE_HASHER, ROLE_JOBS };

/* "worker" and so on: a constant string. */
const char *process_role_name(enum process_role role);

/* True for those that server.workers counts. */
bool process_role_is_worker(enum process_role role);

/*
 * A process: a worker; a guard worker, which runs the daemon's own routes only; the fallback worker, which answers what
 * needs no database while every worker is busy; the hasher; or the one that runs jobs. Written by that process, except
 * pid and role, and except what is reset after its death: those the master writes. Any worker can write to all of this,
 * so the master takes what it reads here for a claim, and keeps its own counts. Flags are no bool in shared memory: who
 * writes anything writes more than 0 and 1.
 */
struct process_slot {
	_Alignas(64) _Atomic pid_t pid; /* 0: the slot is free */
	_Atomic int role;
	_Atomic uint8_t is_connected;    /* to the database */
	_Atomic uint8_t has_permit;      /* to accept connections (pool/accept_permits.h) */
	_Atomic uint8_t wants_recycling; /* it has answered server.max_requests */
	_Atomic int state;
	_Atomic int64_t started_ms;       /* clock_monotonic_ms() */
	_Atomic int64_t request_began_ms; /* of the request or look-up under way; 0: none */
	_Atomic int64_t timeout_ms;       /* of it, by its route; 0: server.request_timeout */
	_Atomic uint32_t route;           /* of the request under way: see counters_add_request() */
	_Atomic int method;               /* of it, an enum ones_method */
	_Atomic uint64_t requests;        /* answered by this process */
	_Atomic int64_t spooled;          /* bytes of its files in server.spool */
	_Atomic int64_t spool_files;      /* how many of these it has open */
};

/* Whose slot it is. */
enum process_role process_slot_role(const struct process_slot *slot);

/*
 * The workers that a configuration may ask for, twice: those of the old generation and those of the new one; besides
 * them the fallback worker and the hasher, and of several generations the process that runs jobs.
 */
#define PROCESS_WORKERS_MAX 512
#define PROCESS_SLOTS       (2 * PROCESS_WORKERS_MAX + 2 + 10)

struct process_table {
	struct process_slot slots[PROCESS_SLOTS];
};

/* Reset the slot of a process that has ended: it may be taken again. */
void process_table_clear(struct process_table *table, size_t slot);

/* The bytes that all of them have in server.spool. */
int64_t process_table_spooled(const struct process_table *table);

/* Count `size` bytes more for `process`, one of them. False: together they would have more than `max`. */
bool process_table_spool(const struct process_table *table, struct process_slot *process, int64_t size, int64_t max);

/* True when no worker can be expected to take a connection soon: each has been busy for a while, or there is none. */
bool process_table_are_workers_busy(const struct process_table *table);

/* True when any worker but the one at `slot` is connected to the database. */
bool process_table_is_another_connected(const struct process_table *table, size_t slot);

/* True when any of those gets answers from it in time: none of its look-ups has taken `late_ms` or longer so far. */
bool process_table_is_another_answered(const struct process_table *table, size_t slot, int64_t late_ms);

#endif
