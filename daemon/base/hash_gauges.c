/* How busy the hasher is. */
#include "base/hash_gauges.h"

void hash_gauges_reset(struct hash_gauges *gauges)
{
	atomic_store(&gauges->in_use, 0);
	atomic_store(&gauges->waiting, 0);
	atomic_store(&gauges->full_from, UINT32_MAX);
}
