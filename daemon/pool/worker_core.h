/* What the files of a worker share: its state, its role's hooks, its epoll set, what it shows on the scoreboard. */
#ifndef POOL_WORKER_CORE_H
#define POOL_WORKER_CORE_H

#include "pool/conn.h"
#include "pool/lookups.h"
#include "pool/worker.h"

struct worker;

/* A role's differences. Every hook is set. */
struct worker_role {
	/* Connect to what it needs, before the process is restricted. Returns 0, or -1 with errno. */
	int (*open)(struct worker *worker);
	/* Whether connections are left to other workers at the moment. */
	bool (*defer_accept)(struct worker *worker);
	/* Whether it takes what others have forwarded to that queue. */
	bool (*takes)(const struct worker *worker, enum handoff_queue queue);
	/*
	 * Where a request is forwarded to, of which the head is there, instead of being answered; HANDOFF_NONE: it is
	 * answered.
	 */
	enum handoff_queue (*queue_for)(const struct worker *worker, const struct conn *conn);
	/* The signal to stop has come: what happens with the connections that are waiting or not read yet. */
	void (*begin_to_stop)(struct worker *worker);
	/* All it had is finished: take what still waits to be accepted, if that is for it. */
	void (*take_remaining)(struct worker *worker);
	/* Whether it ends by itself, without a signal. */
	bool (*is_unneeded)(const struct worker *worker);
	int poll_ms;               /* the longest time between two calls of defer_accept and is_unneeded; -1: any */
	bool uses_permits;         /* it listens only with an accept permit */
	bool waits_only_for_heads; /* it answers a request without waiting for its body */
};

struct worker {
	const struct worker_setup *setup;
	const struct worker_role *role;
	struct ones_app *app;
	const struct settings *settings;
	struct db *db; /* NULL: the role has none */
	struct process_slot *slot;
	int epoll;
	struct conns conns;
	struct lookups lookups;
	struct conn_queue runnable;
	struct conn_queue paused; /* streams that go on when no look-up is under way */
	int hash_channel;         /* -1: none */
	uint64_t last_hash_id;
	int64_t needed_until; /* of a fallback worker: it ends then */
	bool has_permit;
	bool is_listening, is_waiting_for_permit; /* in the epoll set */
	bool is_taking[HANDOFF_QUEUES];           /* likewise */
	int64_t accept_again_at;                  /* 0: accepting is not paused */
	int64_t look_for_overdue_at;              /* in the queue of foreign requests; 0: it has put none there */
	unsigned int db_watch_id;
	int64_t busy_since_us; /* 0: it is not busy */
	int64_t busy_us;       /* the sum of all times before that */
	int64_t requests_left; /* until it asks to be recycled; -1: any number */
	int signals;           /* signals_fd.h */
	bool is_signalled;     /* to stop, by the master */
	bool is_draining;      /* connections are taken, and inspected when all of them have been */
	bool stopping;
};

/* epoll_ctl(2), logged when it fails. */
void worker_watch(const struct worker *worker, int operation, int fd, uint32_t events, const void *what);
void worker_watch_conn(const struct worker *worker, struct conn *conn, uint32_t events);
void worker_unwatch_conn(const struct worker *worker, struct conn *conn);

/* True when further connections may be taken: no handler is to run, and there is room in the next look-up. */
bool worker_has_room(const struct worker *worker);

/*
 * True when the daemon ends, or another binary has taken over: what still waits in the handoff queues is for the
 * workers that there are.
 */
bool worker_is_last(const struct worker *worker);

/* ---- On the scoreboard -------------------------------------------------------------------------------------- */

/* No request is being worked on; WAITING or BUSY all the same while a look-up is under way. */
void worker_set_idle(struct worker *worker);

/* The time so far in which none was: peers that are slow are not to blame for the rest. */
int64_t worker_idle_us(const struct worker *worker);

/* A request is being worked on. */
void worker_set_busy(struct worker *worker, const struct app_preview *preview);

/* It takes no new connections from now on, except by role->begin_to_stop and take_remaining. */
void worker_set_stopping(struct worker *worker);

void worker_set_permit(struct worker *worker, bool has_permit);

#endif
