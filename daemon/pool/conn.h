/* A connection of the web server's, which brings one request: what a worker keeps of each. */
#ifndef POOL_CONN_H
#define POOL_CONN_H

#include "api/app.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conn_state {
	CONN_READING,    /* the request is not whole yet */
	CONN_LOOKING_UP, /* its session is being looked up, or will be (look_ups.h) */
	CONN_RUNNABLE,   /* its handler, which may wait for the database, is next or one of the next */
	CONN_HASHING,    /* a password of it is being looked at by the hasher */
	CONN_DRAINING,   /* answered: what the peer still sends is thrown away */
	CONN_FORWARDING, /* of the attendant: waits for room to be handed on */
};

struct conn {
	struct conn *next, *previous; /* in the order in which they came */
	enum conn_state state;
	int64_t deadline; /* clock_monotonic_ms(); INT64_MAX: somebody else's */
	bool is_late;     /* the deadline has been seen to be past */
	bool is_watched;
	bool is_cancelled; /* the hasher was told that nobody waits for its answer */
	bool has_hung_up;  /* and its peer is why */
	bool has_head;     /* only the body is still to come */
	uint64_t id;       /* for the hasher */
	size_t held;       /* see fcgi_held() */
	struct fcgi *fcgi;
	struct ones_request *req; /* once it has been taken in; owns fcgi then */
	struct app_times times;
	int64_t busy_then;   /* the worker's busy_us when it came to us */
	int64_t left_us;     /* when forwarding: since when, clock_monotonic_us() */
	int64_t runnable_us; /* since when, of the same clock */
	struct app_preview preview;
	struct app_look_up look_up;
	struct conn *next_in_line;
};

/* Connections that wait for the same thing, first come first served. Each is in one line at the most. */
struct line {
	struct conn *first, *last;
	unsigned int count;
};

void line_add(struct line *line, struct conn *conn);

/* Take the first one out; NULL when there is none. */
struct conn *line_take(struct line *line);

/* All of a worker's, the oldest first. */
struct conns {
	struct conn *first, *last;
	unsigned int count;
	size_t held; /* of all of them */
};

/* A new one at the end. It owns `fd`, also when it cannot be made: NULL, out of memory. */
struct conn *conns_add(struct conns *conns, int fd, int64_t io_timeout_ms, size_t max_body);

/* Close one and free all that belongs to it. */
void conns_remove(struct conns *conns, struct conn *conn);

/* True when `what`, as an event names it, is still one of them. */
bool conns_have(const struct conns *conns, const void *what);

/* Note how much memory its request holds. */
void conns_note_held(struct conns *conns, struct conn *conn);

/* The oldest one whose peer is what it waits for, and that is not `but`: it can be closed to make room. NULL: none. */
struct conn *conns_oldest_waiting(const struct conns *conns, const struct conn *but, bool holds_memory);

#endif
