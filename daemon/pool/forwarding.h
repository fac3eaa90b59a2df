/* Leaving accepted connections to another worker: each waits here until there is room in a handoff queue. */
#ifndef POOL_FORWARDING_H
#define POOL_FORWARDING_H

#include "pool/worker_core.h"

/* The pause between two attempts while the handoff queue is full. */
#define FORWARD_RETRY_MS 10

/* Have it forwarded, with the next call of forward_pending(). Nothing has been read from it. */
void forward(struct worker *worker, struct conn *conn, enum handoff_queue queue);

/* Forward it now. False, and it is still to be answered here, when there is no room in the queue. */
bool forward_now(struct worker *worker, struct conn *conn, enum handoff_queue queue);

/* Forward those that wait for it, as far as there is room in the queue. */
void forward_pending(struct worker *worker);

/*
 * The handler of `next` is about to run, and it may wait: forward the connections that would have to wait for it, if
 * another worker is free; in any case, and also those that are still being read, when the handler is foreign and guard
 * workers are kept. Requests that have been opened, or of which memory is held, stay.
 */
void forward_others(struct worker *worker, const struct conn *next);

#endif
