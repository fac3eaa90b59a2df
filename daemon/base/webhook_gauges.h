/* How webhooks fare on this host, in shared memory: it outlives the runs of the job that sends to them. */
#ifndef BASE_WEBHOOK_GAUGES_H
#define BASE_WEBHOOK_GAUGES_H

#include <stdatomic.h>
#include <stdint.h>

/* What became of events that were sent, or of tries. */
enum webhook_count {
	WEBHOOK_COUNT_DELIVERED,
	WEBHOOK_COUNT_FAILED, /* tries, those that are made again among them */
	WEBHOOK_COUNT_DEAD,
	WEBHOOK_COUNT_COUNT,
};

/* All zero: nothing is known. */
struct webhook_gauges {
	_Atomic int64_t looked_at_ms; /* of clock_monotonic_ms(): when the next four were read from the database */
	_Atomic int64_t webhooks;
	_Atomic int64_t pending;
	_Atomic int64_t dead;
	_Atomic int64_t oldest_ms; /* for how long the oldest that is pending waited then */
	_Atomic uint64_t counts[WEBHOOK_COUNT_COUNT];
};

#endif
