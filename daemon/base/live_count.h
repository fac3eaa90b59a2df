/* The number of live sessions, counted every now and then by a helper process of the master (pool/helpers.h). */
#ifndef BASE_LIVE_COUNT_H
#define BASE_LIVE_COUNT_H

#include <stdatomic.h>
#include <stdint.h>

struct live_count {
	_Atomic int64_t sessions;     /* at the last count; -1: there was none */
	_Atomic int64_t requested_ms; /* when /metrics was last asked for it, clock_monotonic_ms() */
};

/* Not counted yet, and not asked for. */
void live_count_init(struct live_count *count);

#endif
