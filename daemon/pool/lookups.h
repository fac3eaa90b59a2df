/*
 * The look-ups of a worker's sessions, in the background: one statement is under way at a time, and whatever comes
 * meanwhile joins the next one, as transactions join a group commit. So batches form by themselves, of as many as have
 * come, and nobody waits for anything but the database.
 */
#ifndef POOL_LOOKUPS_H
#define POOL_LOOKUPS_H

#include "pool/conn.h"

/* The connections of one statement. */
struct batch {
	size_t count, key_count;
	struct conn *conns[RULE_KEYS_MAX];
	struct session_key keys[RULE_KEYS_MAX];
	TALLOC_CTX *ctx; /* what was found is on it */
};

struct lookups {
	struct ones_app *app;
	struct conn_queue waiting;
	struct batch under_way;
	bool is_touch; /* what is under way is no look-up, but others wait for it all the same */
	int64_t sent_us;
};

/* Have the keys of conn->preview looked up with the next statement. */
void lookups_add(struct lookups *lookups, struct conn *conn);

/* True when no look-up is under way, and none waits. */
bool lookups_are_idle(const struct lookups *lookups);

/* One that waits for the statement that is under way since sent_us; NULL when nobody does. */
const struct conn *lookups_first(const struct lookups *lookups);

/* True when there is something that lookups_proceed() does at once. */
bool lookups_can_proceed(const struct lookups *lookups);

/*
 * Send what waits, if nothing is under way. When an answer has come, each connection of it has its lookup set and is
 * in *done, whose ctx is the caller's to free. Returns whether it has.
 */
bool lookups_proceed(struct lookups *lookups, struct batch *done);

#endif
