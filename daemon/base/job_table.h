/*
 * What is known of each job on this host, in shared memory: it outlives generations and the process that runs jobs, so
 * that a job has its times and counts from all of them, and never runs twice at once.
 */
#ifndef BASE_JOB_TABLE_H
#define BASE_JOB_TABLE_H

#include "base/route_names.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* As many jobs as there can be, of all modules together. */
#define JOB_COUNT_MAX 64

/* Each of ten generations can have others: that in force, the next, and those that end. */
#define JOB_TABLE_SIZE (10 * JOB_COUNT_MAX)

/* How a run ended. */
enum job_result {
	JOB_RESULT_NONE, /* there was none yet */
	JOB_RESULT_OK,
	JOB_RESULT_FAILED,  /* its function said so */
	JOB_RESULT_CRASHED, /* its process was ended by a signal, or ended itself */
	JOB_RESULT_OVERDUE, /* killed at its deadline */
	JOB_RESULT_STOPPED, /* killed for the daemon's end or a reload, or with the process that ran it */
	JOB_RESULT_COUNT,
};

/* "ok" and so on, "" for none: a constant string. It is also what the table `jobs` of the database has. */
const char *job_result_name(enum job_result result);

/* As it is written by the process that runs jobs and the run itself; times are of clock_monotonic_ms(). */
struct job_slot {
	_Alignas(64) _Atomic pid_t owner; /* the process that runs jobs which has started it; 0: it does not run */
	_Atomic int64_t began_ms;         /* of the run under way, or the last one; 0: there was none */
	_Atomic uint8_t is_running;
	_Atomic int64_t took_ms; /* the last one */
	_Atomic int64_t next_ms; /* 0: not known yet */
	_Atomic int result;      /* of the last one, an enum job_result */
	_Atomic uint64_t failed; /* in a row, up to the last one */
	_Atomic uint64_t runs[JOB_RESULT_COUNT];
	_Atomic uint64_t claim[2]; /* the number of the run that may have a claim in the database; 0, 0: none has */
};

/* The last slot is for all jobs for whose names there is no room: of these one runs at a time. */
struct job_table {
	struct route_name names[JOB_TABLE_SIZE];
	struct job_slot slots[JOB_TABLE_SIZE + 1];
};

/* Which slots are in use. */
struct job_slots_used {
	bool slots[JOB_TABLE_SIZE + 1];
};

/* The number of a job's slot. */
uint32_t job_table_claim(struct job_table *table, const char *module, const char *name);

/* Free the slots that are not in use, and that no process runs a job of. No new name may be claimed meanwhile. */
void job_table_free_others(struct job_table *table, const struct job_slots_used *used);

/*
 * When its run began, and when the next is due; 0: that is not known. Any process can write to a slot: what cannot be
 * such a moment is taken for none.
 */
int64_t job_slot_began_ms(const struct job_slot *slot);
int64_t job_slot_next_ms(const struct job_slot *slot);

/* Be the one that runs it. False: another process is. */
bool job_slot_take(struct job_slot *slot, pid_t owner);

/* Its owner is done with it: no run is under way, and none has a claim. */
void job_slot_give_back(struct job_slot *slot);

/* The run of that number is about to claim it, for its owner. */
void job_slot_note_claim(struct job_slot *slot, const uint64_t number[2]);

/* The claim of a former owner's run, whose end nobody has recorded: its number. False, with nothing changed: none. */
bool job_slot_has_claim(const struct job_slot *slot, uint64_t number[2]);

/* Its run has ended. */
void job_slot_count(struct job_slot *slot, enum job_result result);

/* The process that ran jobs has ended, and its runs with it. */
void job_table_release(struct job_table *table, pid_t owner);

#endif
