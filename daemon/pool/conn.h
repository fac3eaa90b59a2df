/* A connection from the web server, which brings one request: its state, and a worker's list of all that it holds. */
#ifndef POOL_CONN_H
#define POOL_CONN_H

#include "api/dispatch.h"
#include "pool/handoff.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conn_state {
	CONN_READING,    /* the request is not complete yet */
	CONN_LOOKUP,     /* its session is being looked up, or will be (lookups.h) */
	CONN_RECEIVING,  /* its body is streamed (requests.h) */
	CONN_RUNNABLE,   /* its handler, which may wait for the database, runs next, or after others */
	CONN_HASHING,    /* the hasher checks a password of it (hashing.h) */
	CONN_STREAMING,  /* its answer is sent piece by piece (requests.h) */
	CONN_DRAINING,   /* answered: what the peer still sends is thrown away */
	CONN_FORWARDING, /* waits for room in the handoff queue, for another worker to take it (forwarding.h) */
	CONN_STATE_COUNT
};

struct conns;

struct conn {
	struct conn *next, *previous; /* in the order in which they were accepted */
	struct conns *conns;
	enum conn_state state; /* see conn_set_state() */
	int64_t deadline;      /* clock_monotonic_ms(); INT64_MAX: the master's request_timeout alone limits it */
	bool is_late;          /* the deadline was found to have passed, once */
	bool is_watched;       /* in the epoll set */
	bool is_cancelled;     /* the hasher was told that its answer is not waited for */
	bool has_hung_up;      /* the peer, which is why */
	bool has_head;         /* only the body is still to come */
	bool is_settled;       /* which worker answers it: this one */
	enum app_step step;    /* then: what follows when all of it is there */
	uint64_t id;           /* for the hasher */
	size_t held;           /* see fcgi_held() */
	struct fcgi *fcgi;
	struct ones_request *req; /* once it has been opened; owns fcgi then */
	struct app_times times;
	int64_t busy_then;        /* the worker's busy_us when the connection was accepted */
	enum handoff_queue queue; /* when forwarding: where to */
	int64_t left_us;          /* and since when, clock_monotonic_us(), less the time that it had waited before */
	int64_t runnable_us;      /* when runnable: since when, clock_monotonic_us() */
	int64_t pace_us;          /* when receiving: since when its pace is measured, on worker_idle_us() */
	int64_t pace_bytes;       /* and what had come by then */
	struct app_preview preview;
	struct app_lookup lookup;
	struct conn *next_in_queue;
};

/* Connections that wait for the same thing, first come first served. A connection is in one queue at the most. */
struct conn_queue {
	struct conn *first, *last;
	unsigned int count;
};

void conn_queue_put(struct conn_queue *queue, struct conn *conn);

/* Take the first one out; NULL when there is none. */
struct conn *conn_queue_take(struct conn_queue *queue);

/* All of a worker's, the oldest first. */
struct conns {
	struct conn *first, *last;
	unsigned int count;
	unsigned int by_state[CONN_STATE_COUNT];
	size_t held; /* memory of all requests that are being read */
};

/* A new one at the end, CONN_READING. It owns `fd`, also when it cannot be made: NULL, out of memory. */
struct conn *conns_add(struct conns *conns, int fd, int64_t io_timeout_ms, size_t max_body);

/* Close one and free all that belongs to it. */
void conns_remove(struct conns *conns, struct conn *conn);

/* The only way to change it: conns->by_state is kept right. */
void conn_set_state(struct conn *conn, enum conn_state state);

/* True when `what`, as an event names it, is still one of them. */
bool conns_have(const struct conns *conns, const void *what);

/* Update how much memory its request holds. */
void conns_note_held(struct conns *conns, struct conn *conn);

/* The oldest one that only waits for its peer, and that is not `but`: it can be closed to make room. NULL: none. */
struct conn *conns_oldest_waiting(const struct conns *conns, const struct conn *but, bool holds_memory);

#endif
