/* What the daemon's processes know of each other, in memory that they share. Each part has a file of its own. */
#ifndef BASE_SCOREBOARD_H
#define BASE_SCOREBOARD_H

#include "base/call_rates.h"
#include "base/counters.h"
#include "base/hash_gauges.h"
#include "base/job_table.h"
#include "base/live_count.h"
#include "base/mail_gauges.h"
#include "base/process_table.h"
#include "base/rates.h"
#include "base/route_names.h"
#include "base/seldom.h"
#include "base/service_table.h"
#include "base/webhook_gauges.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The daemon as a whole. */
struct master_info {
	int64_t started_ms; /* clock_monotonic_ms() */
	int64_t started_us; /* and clock_wall_us() */
	pid_t pid;
	_Atomic uint8_t is_ending;     /* the daemon stops: what waits in its handoff queues is for its last workers */
	_Atomic uint8_t is_closing;    /* and no new binary takes its sockets over */
	_Atomic uint8_t is_succeeding; /* an upgrade: the master before us, or a process of its, is still there */
};

struct scoreboard {
	struct master_info master;
	struct process_table processes;
	struct hash_gauges hashing;
	struct live_count live;
	struct mail_gauges mail;
	struct webhook_gauges webhooks;
	struct rates login_rates;
	struct call_rates call_rates;
	struct route_names routes;
	struct job_table jobs;
	struct service_table services;
	struct seldom problems; /* of ones_log_problem() */
	struct counters counters;
};

/* A scoreboard that is shared with every process forked from now on. NULL with errno when it cannot be made. */
struct scoreboard *scoreboard_new(void);

/* Give the memory back. */
void scoreboard_free(struct scoreboard *board);

#endif
