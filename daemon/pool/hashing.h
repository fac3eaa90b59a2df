/* A worker's side of password hashing: connections whose login waits for the hasher (hasher.h). */
#ifndef POOL_HASHING_H
#define POOL_HASHING_H

#include "pool/hash_channel.h"
#include "pool/worker_core.h"

/* Make the channel to the hasher; when it cannot be made, that is logged, and the next job tries again. */
void hashing_open(struct worker *worker);

/* Have a job of this connection done: it is CONN_HASHING then. False: too many are, or the hasher is not there. */
bool hashing_start(struct worker *worker, struct conn *conn, const struct password_job *job, uint32_t rank);

/*
 * The next connection whose job has ended, for whichever reason, and how; it is CONN_RUNNABLE then. NULL: none at the
 * moment. `result` has to be cleared, it may be about a password.
 */
struct conn *hashing_next(struct worker *worker, struct hash_result *result);

/*
 * The answer is not waited for any more: see hash_channel_cancel(). The connection stays until hashing_next() tells
 * what has come of it; hanging up must not make a wrong password one that was not tried. False: there is no hasher.
 */
bool hashing_cancel(const struct worker *worker, struct conn *conn);

void hashing_close(struct worker *worker);

#endif
