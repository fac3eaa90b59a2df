#include "pool/look_ups.h"

#include "base/clock.h"

#include <string.h>

void look_ups_add(struct look_ups *look_ups, struct conn *conn)
{
	conn->state = CONN_LOOKING_UP;
	line_add(&look_ups->waiting, conn);
}

bool look_ups_are_idle(const struct look_ups *look_ups)
{
	return look_ups->waiting.count == 0 && look_ups->under_way.count == 0;
}

const struct conn *look_ups_first(const struct look_ups *look_ups)
{
	if (look_ups->under_way.count > 0)
		return look_ups->under_way.conns[0];
	return look_ups->is_touch ? look_ups->waiting.first : NULL;
}

/* What was seen of sessions is written when no look-up waits, or there is no room to keep more of it in mind. */
static bool is_time_to_touch(const struct look_ups *look_ups)
{
	return look_ups->app->touch_count == RULE_KEYS_MAX ||
	       (look_ups->app->touch_count > 0 && look_ups->waiting.count == 0);
}

bool look_ups_can_proceed(const struct look_ups *look_ups)
{
	const struct db *db = look_ups->app->rule.db;

	return db_is_started(db) ? db_is_done(db) : look_ups->waiting.count > 0 || look_ups->app->touch_count > 0;
}

/* As many as there is room for in one statement. */
static void fill(struct batch *batch, struct line *waiting)
{
	*batch = (struct batch){0};
	while (waiting->first != NULL && batch->key_count + waiting->first->preview.key_count <= RULE_KEYS_MAX) {
		struct conn *conn = line_take(waiting);
		size_t key_count = conn->preview.key_count;

		memcpy(&batch->keys[batch->key_count], conn->preview.keys, key_count * sizeof batch->keys[0]);
		conn->look_up.first = batch->key_count;
		batch->key_count += key_count;
		batch->conns[batch->count++] = conn;
	}
}

static void send_next(struct look_ups *look_ups)
{
	look_ups->sent_us = clock_monotonic_us();
	look_ups->is_touch = is_time_to_touch(look_ups);
	if (look_ups->is_touch) {
		app_start_touch(look_ups->app);
	} else if (look_ups->waiting.count > 0) {
		fill(&look_ups->under_way, &look_ups->waiting);
		rule_start_reading(&look_ups->app->rule, look_ups->under_way.keys, look_ups->under_way.key_count);
	}
}

static void land(struct look_ups *look_ups, struct batch *done)
{
	struct rule_reading *reading = NULL;
	enum db_status status;
	int64_t took_us;

	*done = look_ups->under_way;
	look_ups->under_way.count = 0;
	done->ctx = talloc_new(NULL);
	status = rule_finish_reading(&look_ups->app->rule, done->ctx, done->keys, done->key_count, &reading);
	took_us = clock_monotonic_us() - look_ups->sent_us;
	for (size_t i = 0; i < done->count; i++) {
		struct conn *conn = done->conns[i];

		conn->look_up.status = status;
		conn->look_up.reading = reading;
		conn->times.began = look_ups->sent_us;
		conn->times.look_up_us = took_us;
	}
}

bool look_ups_proceed(struct look_ups *look_ups, struct batch *done)
{
	struct db *db = look_ups->app->rule.db;
	bool has_landed = false;

	if (!look_ups_can_proceed(look_ups))
		return false;
	if (db_is_started(db) && look_ups->is_touch) {
		(void)db_finish(db, NULL, NULL);
	} else if (db_is_started(db)) {
		land(look_ups, done);
		has_landed = true;
	}
	/* Before those that have landed are answered: the database works meanwhile. */
	send_next(look_ups);
	return has_landed;
}
