/* What is counted for /metrics, in memory that all processes of the daemon share; it outlives each worker. */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum counter {
	COUNTER_LOGINS,
	COUNTER_LOGIN_FAILURES,
	COUNTER_LOGOUTS,
	COUNTER_DISPLACEMENTS,
	COUNTER_SHARED_ACCOUNTS,
	COUNTER_PASSWORD_CHANGES,
	COUNTER_CONFIRMATIONS,
	COUNTER_THROTTLED, /* requests that were refused for a while: 429, and 503 when the hash queue is full */
	COUNTER_DATABASE_ROUND_TRIPS,
	COUNTER_DATABASE_ERRORS,
	COUNTER_WORKER_STARTS,
	COUNTER_WORKER_DEATHS,   /* workers that ended without being signalled to */
	COUNTER_WORKER_TIMEOUTS, /* of them, those killed for a request past its deadline */
	COUNTER_RELOADS,
	COUNTER_RELOADS_REFUSED,
	COUNTER_COUNT,
};

#define COUNTERS_ROUTES_MAX 512
/* The index for requests whose path is none of the routes'. */
#define COUNTERS_NO_ROUTE COUNTERS_ROUTES_MAX

/* The statuses that are counted one by one; the last counter is for any other. */
#define COUNTERS_STATUSES                                                                                              \
	{                                                                                                              \
		200, 204, 303, 400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 503                                   \
	}
#define COUNTERS_STATUS_COUNT 15

/* Upper bounds of the histogram's buckets in microseconds; the last bucket is for what takes longer. */
#define COUNTERS_BOUNDS_US                                                                                             \
	{                                                                                                              \
		250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000     \
	}
#define COUNTERS_BOUND_COUNT 14

struct route_counters {
	_Atomic uint64_t by_status[COUNTERS_STATUS_COUNT];
	_Atomic uint64_t by_duration[COUNTERS_BOUND_COUNT + 1];
	_Atomic uint64_t duration_us; /* of all of them */
};

struct counters {
	_Atomic uint64_t all[COUNTER_COUNT];
	struct route_counters routes[COUNTERS_ROUTES_MAX + 1];
};

/* `counters` may be NULL: nothing is counted then. */
void counters_add(struct counters *counters, enum counter counter);

/* A request that was answered. `route` is a number of route_names.h, or COUNTERS_NO_ROUTE. */
void counters_add_request(struct counters *counters, size_t route, int status, int64_t duration_us);

#endif
