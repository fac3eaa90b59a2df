/*
 * Logins that wait for their passwords to be hashed: bounded, and fair. The one whose address and account have tried
 * least of late (its rank, see api/login_rank.h) is next, and when the queue is full the one that has tried most is
 * displaced. So a flood waits behind all other clients, and is refused before them.
 */
#ifndef POOL_HASH_QUEUE_H
#define POOL_HASH_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#define HASH_QUEUE_MAX 64

struct hash_entry {
	uint32_t rank;
	int64_t since_ms; /* clock_monotonic_ms() */
};

/* What waits has such an entry as its first member; the queue owns none of them. */
struct hash_queue {
	size_t count;
	struct hash_entry *entries[HASH_QUEUE_MAX];
};

/* Put one in. Returns the one for which there is no room: NULL, `entry`, or another that is not in the queue any more.
 */
struct hash_entry *hash_queue_put(struct hash_queue *queue, struct hash_entry *entry);

/* Take the next one out: of the lowest rank the one that has waited longest. NULL when there is none. */
struct hash_entry *hash_queue_take(struct hash_queue *queue);

/* Take that one out. */
void hash_queue_remove(struct hash_queue *queue, const struct hash_entry *entry);

/* One of this rank or higher finds the queue full; UINT32_MAX: it is not full. */
uint32_t hash_queue_full_from(const struct hash_queue *queue);

#endif
