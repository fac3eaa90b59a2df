/* The look-ups of a worker's sessions in batches, in the background. */
#include "pool/lookups.h"

#include "base/clock.h"
#include "session/session_lookup.h"

#include <string.h>

int lookups_init(struct lookups *lookups, TALLOC_CTX *ctx, struct ones_app *app)
{
	*lookups = (struct lookups){
		.app = app,
		.under_way = talloc_zero(ctx, struct batch),
		.answered = talloc_zero(ctx, struct batch),
	};
	return lookups->under_way != NULL && lookups->answered != NULL ? 0 : -1;
}

void lookups_add(struct lookups *lookups, struct conn *conn)
{
	conn_set_state(conn, CONN_LOOKUP);
	conn_queue_put(&lookups->waiting, conn);
}

bool lookups_are_idle(const struct lookups *lookups)
{
	return lookups->waiting.count == 0 && lookups->under_way->count == 0;
}

bool lookups_have_room(const struct lookups *lookups)
{
	return lookups->waiting.count < RULE_KEYS_MAX;
}

const struct conn *lookups_first(const struct lookups *lookups)
{
	if (lookups->under_way->count > 0)
		return lookups->under_way->conns[0];
	return lookups->is_touch ? lookups->waiting.first : NULL;
}

bool lookups_are_late(const struct lookups *lookups)
{
	return lookups_first(lookups) != NULL && clock_until_ms(lookups->sent_us / 1000 + LOOKUP_LATE_MS) == 0;
}

/* When sessions were seen is stored while no look-up waits, or when there is no room to remember more of it. */
static bool is_time_to_touch(const struct lookups *lookups)
{
	return lookups->app->touch_count == RULE_KEYS_MAX ||
	       (lookups->app->touch_count > 0 && lookups->waiting.count == 0);
}

bool lookups_can_proceed(const struct lookups *lookups)
{
	const struct db *db = lookups->app->rule.db;

	if (db == NULL)
		return false;
	return db_is_started(db) ? db_is_done(db) : lookups->waiting.count > 0 || lookups->app->touch_count > 0;
}

/* As many as there is room for in one statement. */
static void fill(struct batch *batch, struct conn_queue *waiting)
{
	while (waiting->first != NULL && batch->key_count + waiting->first->preview.key_count <= RULE_KEYS_MAX) {
		struct conn *conn = conn_queue_take(waiting);
		size_t key_count = conn->preview.key_count;

		memcpy(&batch->keys[batch->key_count], conn->preview.keys, key_count * sizeof batch->keys[0]);
		memset(&batch->callers[batch->key_count], 0, key_count * sizeof batch->callers[0]);
		if (conn->preview.has_caller)
			batch->callers[batch->key_count] = conn->preview.caller;
		batch->has_callers |= conn->preview.has_caller;
		conn->lookup.first = batch->key_count;
		batch->key_count += key_count;
		batch->conns[batch->count++] = conn;
	}
}

static void send_next(struct lookups *lookups)
{
	struct batch *batch = lookups->under_way;

	lookups->sent_us = clock_monotonic_us();
	lookups->is_touch = is_time_to_touch(lookups);
	if (lookups->is_touch) {
		app_start_touch(lookups->app);
	} else if (lookups->waiting.count > 0) {
		fill(batch, &lookups->waiting);
		session_lookup_start(&lookups->app->rule, batch->keys, batch->has_callers ? batch->callers : NULL,
		                     batch->key_count);
	}
}

static struct batch *take_answered(struct lookups *lookups)
{
	struct batch *batch = lookups->under_way;
	struct session_lookup *found = NULL;
	enum db_status status = session_lookup_finish(&lookups->app->rule, batch, batch->keys, batch->has_callers,
	                                              batch->key_count, &found);
	int64_t took_us = clock_monotonic_us() - lookups->sent_us;

	lookups->under_way = lookups->answered;
	lookups->answered = batch;
	for (size_t i = 0; i < batch->count; i++) {
		struct conn *conn = batch->conns[i];

		conn->lookup.status = status;
		conn->lookup.result = found;
		conn->times.began = lookups->sent_us;
		conn->times.lookup_us = took_us;
	}
	return batch;
}

struct batch *lookups_proceed(struct lookups *lookups)
{
	struct db *db = lookups->app->rule.db;
	struct batch *answered = NULL;

	if (!lookups_can_proceed(lookups))
		return NULL;
	if (db_is_started(db) && lookups->is_touch)
		(void)db_finish(db, NULL, NULL);
	else if (db_is_started(db))
		answered = take_answered(lookups);
	/* Before those that have been looked up are answered: the database works meanwhile. */
	send_next(lookups);
	return answered;
}

void batch_clear(struct batch *batch)
{
	talloc_free_children(batch);
	batch->count = batch->key_count = 0;
	batch->has_callers = false;
}

bool batch_keep_lookup(struct conn *conn)
{
	return conn->lookup.result == NULL || talloc_reference(conn, conn->lookup.result) != NULL;
}
