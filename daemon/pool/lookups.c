#include "pool/lookups.h"

#include "base/clock.h"
#include "session/session_lookup.h"

#include <string.h>

void lookups_add(struct lookups *lookups, struct conn *conn)
{
	conn->state = CONN_LOOKUP;
	conn_queue_put(&lookups->waiting, conn);
}

bool lookups_are_idle(const struct lookups *lookups)
{
	return lookups->waiting.count == 0 && lookups->under_way.count == 0;
}

const struct conn *lookups_first(const struct lookups *lookups)
{
	if (lookups->under_way.count > 0)
		return lookups->under_way.conns[0];
	return lookups->is_touch ? lookups->waiting.first : NULL;
}

/* What was seen of sessions is written when no look-up waits, or there is no room to keep more of it in mind. */
static bool is_time_to_touch(const struct lookups *lookups)
{
	return lookups->app->touch_count == RULE_KEYS_MAX ||
	       (lookups->app->touch_count > 0 && lookups->waiting.count == 0);
}

bool lookups_can_proceed(const struct lookups *lookups)
{
	const struct db *db = lookups->app->rule.db;

	return db_is_started(db) ? db_is_done(db) : lookups->waiting.count > 0 || lookups->app->touch_count > 0;
}

/* As many as there is room for in one statement. */
static void fill(struct batch *batch, struct conn_queue *waiting)
{
	*batch = (struct batch){0};
	while (waiting->first != NULL && batch->key_count + waiting->first->preview.key_count <= RULE_KEYS_MAX) {
		struct conn *conn = conn_queue_take(waiting);
		size_t key_count = conn->preview.key_count;

		memcpy(&batch->keys[batch->key_count], conn->preview.keys, key_count * sizeof batch->keys[0]);
		conn->lookup.first = batch->key_count;
		batch->key_count += key_count;
		batch->conns[batch->count++] = conn;
	}
}

static void send_next(struct lookups *lookups)
{
	lookups->sent_us = clock_monotonic_us();
	lookups->is_touch = is_time_to_touch(lookups);
	if (lookups->is_touch) {
		app_start_touch(lookups->app);
	} else if (lookups->waiting.count > 0) {
		fill(&lookups->under_way, &lookups->waiting);
		session_lookup_start(&lookups->app->rule, lookups->under_way.keys, lookups->under_way.key_count);
	}
}

static void take_batch(struct lookups *lookups, struct batch *done)
{
	struct session_lookup *found = NULL;
	enum db_status status;
	int64_t took_us;

	*done = lookups->under_way;
	lookups->under_way.count = 0;
	done->ctx = talloc_new(NULL);
	status = session_lookup_finish(&lookups->app->rule, done->ctx, done->keys, done->key_count, &found);
	took_us = clock_monotonic_us() - lookups->sent_us;
	for (size_t i = 0; i < done->count; i++) {
		struct conn *conn = done->conns[i];

		conn->lookup.status = status;
		conn->lookup.result = found;
		conn->times.began = lookups->sent_us;
		conn->times.lookup_us = took_us;
	}
}

bool lookups_proceed(struct lookups *lookups, struct batch *done)
{
	struct db *db = lookups->app->rule.db;
	bool has_landed = false;

	if (!lookups_can_proceed(lookups))
		return false;
	if (db_is_started(db) && lookups->is_touch) {
		(void)db_finish(db, NULL, NULL);
	} else if (db_is_started(db)) {
		take_batch(lookups, done);
		has_landed = true;
	}
	/* Before those that have landed are answered: the database works meanwhile. */
	send_next(lookups);
	return has_landed;
}
