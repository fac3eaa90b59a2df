/* The role of a regular worker. */
#include "pool/regular.h"

#include "pool/serving.h"

/* When the daemon ends, guard workers end before the regular ones. */
static bool leaves_to_guards(const struct worker *worker)
{
	return worker->app->keeps_guards && !worker_is_last(worker);
}

static bool takes(const struct worker *worker, enum handoff_queue queue)
{
	return queue != HANDOFF_GUARDS || !leaves_to_guards(worker);
}

/*
 * Any other of the daemon's own requests can be forwarded untouched when a foreign one is about to run. One that is
 * hashed, or of which a body is collected, could not.
 */
static enum handoff_queue queue_for(const struct worker *worker, const struct conn *conn)
{
	const struct app_preview *preview = &conn->preview;
	bool has_to_stay = preview->may_hash || (preview->may_have_body && !fcgi_is_whole(conn->fcgi));

	return leaves_to_guards(worker) && !preview->is_foreign && has_to_stay ? HANDOFF_GUARDS : HANDOFF_NONE;
}

const struct worker_role regular_role = {
	.open = serving_open,
	.defer_accept = serving_defers,
	.takes = takes,
	.queue_for = queue_for,
	.begin_to_stop = serving_begin_to_stop,
	.take_remaining = serving_take_remaining,
	.is_unneeded = serving_is_unneeded,
	.poll_ms = -1,
	.uses_permits = true,
};
