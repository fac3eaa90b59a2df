/* The number of live sessions. */
#include "base/live_count.h"

void live_count_init(struct live_count *count)
{
	atomic_store(&count->sessions, -1);
	/* Long ago, and far enough from the limit for an interval to be added. */
	atomic_store(&count->requested_ms, INT64_MIN / 2);
}
