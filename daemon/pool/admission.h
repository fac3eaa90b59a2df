/* Admission: when a worker listens, which connections it accepts, and how many at a time. */
#ifndef POOL_ADMISSION_H
#define POOL_ADMISSION_H

#include "pool/worker_core.h"

/*
 * Connections that a worker holds at once. When there are as many, the oldest that only waits for its peer is closed.
 */
#define CONNS_MAX 256

/*
 * Bring listening up to date. Before a handler that may wait is run, the accept permit goes to another worker, which
 * takes new connections. While a look-up is under way no such change is needed: new connections join the next look-up;
 * when there are too many of them, the others wait in the listening socket's queue for a moment.
 */
void admission_update(struct worker *worker);

/* A connection from every socket that it listens on, and as long as their requests are quick, more. */
void admission_accept(struct worker *worker);

/* Take one from a handoff queue. Returns false when there was none. */
bool admission_take_handoff(struct worker *worker, enum handoff_queue queue);

/* When it is time to look for them: take the foreign requests that wait for a regular worker for too long. */
void admission_take_overdue(struct worker *worker);

/* HANDOFFS: only those that other workers forwarded, and that are not foreign. OWN: also those at our own unix sockets,
 * whose paths are gone. */
enum backlog { BACKLOG_HANDOFFS, BACKLOG_OWN, BACKLOG_ALL };

/*
 * Take all connections that wait, and inspect them only then: to serve in between would give peers the time to open
 * more of them.
 */
void admission_drain_backlog(struct worker *worker, enum backlog backlog);

#endif
