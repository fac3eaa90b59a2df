/* What is emitted in one transaction. */
#include "session/emission.h"

void emission_begin(struct emission *emission)
{
	*emission = (struct emission){.ctx = emission->ctx, .can_refuse = emission->can_refuse};
}

static bool keep(struct emission *emission, const struct ones_event *event)
{
	struct ones_event *grown =
		talloc_realloc(emission->ctx, emission->events, struct ones_event, emission->count + 1);

	if (grown == NULL)
		return false;
	emission->events = grown;
	grown[emission->count++] = *event;
	return true;
}

/* Why a receiver has not let it go on. */
static enum db_status failure_of(struct emission *emission, const struct db *db)
{
	enum db_status status = db_transaction_failure(db);

	emission->has_failed = true;
	/* One that failed because of the database has refused nothing, unless its values were at fault. */
	if (status == DB_CONFLICT || status == DB_UNAVAILABLE)
		emission->refusal = (struct ones_refusal){0};
	if (emission->refusal.code != NULL)
		return DB_REFUSED;
	return status != DB_OK && status != DB_VIOLATION ? status : DB_ERROR;
}

enum db_status emission_emit(const struct ones_db *db, const struct session_key *key, const struct ones_event *event)
{
	struct emission *emission = db->emission;
	struct ones_db inner = {
		.db = db->db,
		.ctx = talloc_new(db->ctx),
		.purpose = event->name,
		.until_ms = db->until_ms,
		.client_ip = db->client_ip,
		.client_user_agent = db->client_user_agent,
		.client_language = db->client_language,
		.in_transaction = true,
		.signals = db->signals,
		.emission = emission,
	};
	struct ones_transaction transaction = {.db = db->db, .key = key, .sql = &inner};
	struct ones_event told = *event;
	bool is_accepted;

	if (inner.ctx == NULL || !keep(emission, event)) {
		talloc_free(inner.ctx);
		return db_out_of_memory(db->db);
	}
	told.db = &inner;
	told.transaction = &transaction;
	emission->depth++;
	is_accepted = signals_emit(db->signals, ONES_IN_TRANSACTION, &told);
	emission->depth--;
	talloc_free(inner.ctx);
	return is_accepted ? DB_OK : failure_of(emission, db->db);
}

void emission_committed(const struct emission *emission, const struct signals *signals)
{
	for (unsigned int i = 0; i < emission->count; i++)
		(void)signals_emit(signals, ONES_AFTER_COMMIT, &emission->events[i]);
}
