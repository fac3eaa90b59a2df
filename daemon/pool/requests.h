/*
 * Answering requests: a batch of which the sessions have been looked up, handlers, the wait for a password's hash, and
 * for bodies and answers that are streamed.
 */
#ifndef POOL_REQUESTS_H
#define POOL_REQUESTS_H

#include "pool/worker_core.h"

/* Take the step that is next for its request. */
void request_take_step(struct worker *worker, struct conn *conn, enum app_step step);

/*
 * Send the next look-up and answer the batch that has come back. Requests that are quick, and that wait for no other
 * client's hold on the account, are answered at once; the others become runnable.
 */
void requests_proceed_with_lookups(struct worker *worker);

/* Run one handler that may wait, when no request waits for a look-up; new connections go to other workers meanwhile. */
void requests_run_next(struct worker *worker);

/* More of the body of one that is CONN_RECEIVING has arrived. */
void request_receive(struct worker *worker, struct conn *conn);

/* One that is CONN_RECEIVING comes too slowly: nothing came for server.io_timeout. */
void request_end_receiving(struct worker *worker, struct conn *conn);

/* The peer of one that is CONN_STREAMING has room for more of the answer, or has gone. */
void request_stream(struct worker *worker, struct conn *conn);

/* Go on with one that reads the database and has waited for look-ups, when none is under way. */
void requests_resume_stream(struct worker *worker);

/* Go on with those whose passwords have been hashed, or cannot be. */
void requests_take_hash_results(struct worker *worker);

/* The deadline of one that is CONN_HASHING has passed: what the hasher has is asked for, and then it is given up. */
void request_end_hashing(struct worker *worker, struct conn *conn);

/* The peer of one that is CONN_HASHING has hung up. */
void request_hang_up(struct worker *worker, struct conn *conn);

#endif
