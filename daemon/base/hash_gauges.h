/* How busy the hasher is, for workers and /metrics: written by the hasher, and reset by the master when it has ended.
 */
#ifndef BASE_HASH_GAUGES_H
#define BASE_HASH_GAUGES_H

#include <stdatomic.h>
#include <stdint.h>

struct hash_gauges {
	_Atomic uint32_t in_use;    /* hash slots: passwords that are being hashed */
	_Atomic uint32_t waiting;   /* logins in the queue */
	_Atomic uint32_t full_from; /* a login of this rank (api/login_rank.h) or higher finds the queue full */
};

/* There is no hasher: nothing is hashed, and the queue is empty. */
void hash_gauges_reset(struct hash_gauges *gauges);

#endif
