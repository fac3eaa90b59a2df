/* Reading requests: what is there is inspected until a request is complete, within deadlines and bounded memory. */
#ifndef POOL_READING_H
#define POOL_READING_H

#include "pool/worker_core.h"

/*
 * Inspect what has come of a request, and when it is complete, dispatch it: to a look-up, its handler or another
 * worker. `has_ended`: the peer will send no more than what is there.
 */
void reading_inspect(struct worker *worker, struct conn *conn, bool has_ended);

/* True when a foreign request that came then has waited too long for a worker: it is turned away. */
bool reading_is_overdue(const struct worker *worker, int64_t connected_us);

/* Close the oldest connection that only waits for its peer, and is not `but`, to make room. */
void reading_close_oldest(struct worker *worker, const struct conn *but, bool holds_memory);

#endif
