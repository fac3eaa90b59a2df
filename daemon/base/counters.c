/* Counters in memory that all processes of the daemon share. */
#include "base/counters.h"

static void add(_Atomic uint64_t *to, uint64_t number)
{
	atomic_fetch_add_explicit(to, number, memory_order_relaxed);
}

void counters_add(struct counters *counters, enum counter counter)
{
	if (counters != NULL)
		add(&counters->all[counter], 1);
}

void counters_add_request(struct counters *counters, size_t route, int status, int64_t duration_us)
{
	static const int statuses[COUNTERS_STATUS_COUNT - 1] = COUNTERS_STATUSES;
	static const int64_t bounds[COUNTERS_BOUND_COUNT] = COUNTERS_BOUNDS_US;
	struct route_counters *counted = &counters->routes[route];
	size_t at = 0;

	while (at < COUNTERS_STATUS_COUNT - 1 && statuses[at] != status)
		at++;
	add(&counted->by_status[at], 1);
	at = 0;
	while (at < COUNTERS_BOUND_COUNT && duration_us > bounds[at])
		at++;
	add(&counted->by_duration[at], 1);
	add(&counted->duration_us, (uint64_t)duration_us);
}
