/* The bounded, fair queue of logins that wait for the hasher. */
#include "pool/hash_queue.h"

static struct hash_entry *take_at(struct hash_queue *queue, size_t at)
{
	struct hash_entry *entry = queue->entries[at];

	queue->entries[at] = queue->entries[--queue->count];
	return entry;
}

/* Of those with the highest rank the one that came last: the first to be displaced. */
static size_t find_last(const struct hash_queue *queue)
{
	size_t last = 0;

	for (size_t i = 1; i < queue->count; i++) {
		const struct hash_entry *one = queue->entries[i], *other = queue->entries[last];

		if (one->rank > other->rank || (one->rank == other->rank && one->since_ms > other->since_ms))
			last = i;
	}
	return last;
}

struct hash_entry *hash_queue_put(struct hash_queue *queue, struct hash_entry *entry)
{
	struct hash_entry *displaced = NULL;

	if (queue->count == HASH_QUEUE_MAX) {
		size_t last = find_last(queue);

		if (queue->entries[last]->rank <= entry->rank)
			return entry;
		displaced = take_at(queue, last);
	}
	queue->entries[queue->count++] = entry;
	return displaced;
}

struct hash_entry *hash_queue_take(struct hash_queue *queue)
{
	size_t first = 0;

	if (queue->count == 0)
		return NULL;
	for (size_t i = 1; i < queue->count; i++) {
		const struct hash_entry *one = queue->entries[i], *other = queue->entries[first];

		if (one->rank < other->rank || (one->rank == other->rank && one->since_ms < other->since_ms))
			first = i;
	}
	return take_at(queue, first);
}

void hash_queue_remove(struct hash_queue *queue, const struct hash_entry *entry)
{
	for (size_t i = 0; i < queue->count; i++) {
		if (queue->entries[i] == entry) {
			(void)take_at(queue, i);
			return;
		}
	}
}

uint32_t hash_queue_full_from(const struct hash_queue *queue)
{
	return queue->count < HASH_QUEUE_MAX ? UINT32_MAX : queue->entries[find_last(queue)]->rank;
}
