/* Leaving accepted connections to another worker: each waits here until there is room in the handoff queue. */
#ifndef POOL_FORWARDING_H
#define POOL_FORWARDING_H

#include "pool/worker_core.h"

/* The pause between two attempts while the handoff queue is full. */
#define FORWARD_RETRY_MS 10

/* Have it forwarded, with the next call of forward_pending(). Nothing has been read from it. */
void forward(struct worker *worker, struct conn *conn);

/* Forward those that wait for it, as far as there is room in the queue. */
void forward_pending(struct worker *worker);

/*
 * A handler is about to run that may wait: forward the connections that would have to wait for it, if another worker is
 * free. Requests that have been opened, or of which memory is held, stay.
 */
void forward_runnable(struct worker *worker);

#endif
