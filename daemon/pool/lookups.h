/*
 * A worker's look-ups of sessions, in the background: one statement is under way at a time, and the connections that
 * become ready meanwhile join the next one, as transactions join a group commit. So batches form by themselves, each of
 * as many connections as there are, and none of them waits for anything but the database.
 */
#ifndef POOL_LOOKUPS_H
#define POOL_LOOKUPS_H

#include "pool/conn.h"

/* The connections of one statement. A talloc context: what the statement finds is on it, until batch_clear(). */
struct batch {
	size_t count, key_count;
	struct conn *conns[RULE_KEYS_MAX];
	struct session_key keys[RULE_KEYS_MAX];
	bool has_callers; /* some of them are asked about by programs, whose tokens' keys follow; zeros: no program */
	struct session_key callers[RULE_KEYS_MAX];
};

struct lookups {
	struct ones_app *app;
	struct conn_queue waiting;
	struct batch *under_way, *answered; /* they take turns, so that a look-up needs no memory that may be missing */
	bool is_touch; /* the statement under way is no look-up but stores when sessions were seen: look-ups wait for it
	                */
	int64_t sent_us;
};

/* Begin without any, on `ctx`. Returns 0, or -1: out of memory. */
int lookups_init(struct lookups *lookups, TALLOC_CTX *ctx, struct ones_app *app);

/* Have the keys of conn->preview looked up with the next statement. */
void lookups_add(struct lookups *lookups, struct conn *conn);

/* True when no look-up is under way, and none waits. */
bool lookups_are_idle(const struct lookups *lookups);

/* True when there is room for more in the next statement. */
bool lookups_have_room(const struct lookups *lookups);

/* One of the connections that wait for the statement that is under way since sent_us; NULL when none does. */
const struct conn *lookups_first(const struct lookups *lookups);

/* True when that statement has been under way for LOOKUP_LATE_MS: a reason to leave connections to another worker. */
#define LOOKUP_LATE_MS 20
bool lookups_are_late(const struct lookups *lookups);

/* True when there is something that lookups_proceed() does at once. Never, in a process without a database. */
bool lookups_can_proceed(const struct lookups *lookups);

/*
 * Send the next statement, if none is under way. When the one before has been answered, each of its connections has its
 * lookup set, and the batch of them is returned, for batch_clear(); else NULL.
 */
struct batch *lookups_proceed(struct lookups *lookups);

/* Free what was found, except for connections that hold a reference to it (see batch_keep_lookup()). */
void batch_clear(struct batch *batch);

/* What the look-up found is needed by this connection for longer than the batch lasts. False when out of memory. */
bool batch_keep_lookup(struct conn *conn);

#endif
