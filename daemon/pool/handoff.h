/* Queues of connections for the worker that is free first, each as it was accepted: nothing has been read from it. */
#ifndef POOL_HANDOFF_H
#define POOL_HANDOFF_H

#include <stdbool.h>
#include <stdint.h>

struct handoff {
	int fd;               /* the connection */
	int64_t connected_us; /* when its peer connected, clock_monotonic_us() */
	int64_t left_us;      /* when the worker that accepted it put it here; see struct conn */
};

/*
 * For whom a connection waits: any worker; one that keeps itself for the daemon's own routes; one that runs foreign
 * routes, too. NONE: it is not to be forwarded.
 */
enum handoff_queue { HANDOFF_ANY, HANDOFF_GUARDS, HANDOFF_FOREIGN, HANDOFF_QUEUES, HANDOFF_NONE = HANDOFF_QUEUES };

/* All of them, for all workers of all generations. */
struct handoff_queues {
	int ends[HANDOFF_QUEUES][2];
};

/* Make the queue: what is put into ends[1] comes out at ends[0]. Returns 0, or -1 with errno. */
int handoff_open(int ends[2]);

/* Put a connection in. The caller still has to close its own descriptor. Returns false when the queue is full. */
bool handoff_put(int end, const struct handoff *handoff);

/* Take the next one out; its descriptor is then the caller's. Returns false when there is none. Never blocks. */
bool handoff_take(int end, struct handoff *handoff);

/* Look at the next one and leave it there; it has no descriptor. Returns false when there is none. Never blocks. */
bool handoff_peek(int end, struct handoff *handoff);

#endif
