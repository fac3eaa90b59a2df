#include "session/change.h"

#include "base/log.h"
#include "session/reason.h"
#include "session/rule_sql.h"
#include "session/schema.h"

#include <string.h>

/* Bad luck with deadlocks or connections does not come more often than this in a row. */
#define ATTEMPTS 5

struct db_value client_ip(const struct client *client)
{
	return client->ip != NULL && client->ip[0] != '\0' ? DB_TEXT(client->ip) : DB_NULL;
}

enum db_status change_release_account(const struct change *change, int64_t user_id)
{
	const struct db_value values[] = {DB_INT(user_id)};

	return db_query(change->db, NULL, &sql_drop_lock_row, values, 1, NULL);
}

enum db_status change_lock_account(const struct change *change, int64_t user_id)
{
	const struct db_value values[] = {DB_INT(user_id)};

	return db_query(change->db, NULL, &sql_lock_account, values, 1, NULL);
}

enum db_status change_tell(struct change *change, const struct session_key *key, struct ones_event event)
{
	struct ones_transaction transaction = {.db = change->db, .key = key};
	struct ones_event *grown = talloc_realloc(change->ctx, change->events, struct ones_event, change->count + 1);
	enum db_status status;

	if (grown == NULL)
		return DB_ERROR;
	event.ip = change->client.ip != NULL ? change->client.ip : "";
	event.user_agent = change->client.user_agent != NULL ? change->client.user_agent : "";
	event.was_ip = event.was_ip != NULL ? event.was_ip : "";
	event.was_user_agent = event.was_user_agent != NULL ? event.was_user_agent : "";
	change->events = grown;
	change->events[change->count++] = event;
	event.transaction = &transaction;
	if (signals_emit(change->signals, ONES_IN_TRANSACTION, &event))
		return DB_OK;
	/* A receiver that failed because of the database has refused nothing. */
	status = db_transaction_failure(change->db);
	return status != DB_OK ? status : DB_ERROR;
}

static enum db_status run(struct change *change, enum db_status (*body)(struct change *change, void *context),
                          void *context, bool confirms)
{
	enum db_status status = DB_CONFLICT;

	for (int attempt = 0; attempt < ATTEMPTS && status == DB_CONFLICT; attempt++) {
		change->events = NULL;
		change->count = 0;
		status = db_begin(change->db);
		if (status == DB_OK && confirms)
			status = change_confirm(change);
		if (status == DB_OK)
			status = body(change, context);
		if (status == DB_OK)
			status = db_commit(change->db);
		if (status == DB_OK)
			change_committed(change);
		else
			db_rollback(change->db);
	}
	if (status == DB_DUPLICATE) {
		schema_explain_duplicate(change->db);
		log_error("database_duplicate", LOG_STR("problem", db_problem(change->db)));
		return DB_ERROR;
	}
	return status == DB_CONFLICT ? DB_UNAVAILABLE : status;
}

enum db_status change_confirm(const struct change *change)
{
	return db_query(change->db, NULL, &sql_confirm, NULL, 0, NULL);
}

enum db_status change_run(struct change *change, enum db_status (*body)(struct change *change, void *context),
                          void *context)
{
	return run(change, body, context, false);
}

enum db_status change_run_idempotent(struct change *change,
                                     enum db_status (*body)(struct change *change, void *context), void *context)
{
	enum db_status status = DB_UNKNOWN;

	for (int attempt = 0; attempt < ATTEMPTS && status == DB_UNKNOWN; attempt++)
		status = run(change, body, context, attempt > 0);
	return status == DB_UNKNOWN ? DB_UNAVAILABLE : status;
}

void change_committed(const struct change *change)
{
	for (unsigned int i = 0; i < change->count; i++)
		(void)signals_emit(change->signals, ONES_AFTER_COMMIT, &change->events[i]);
}

/* Tell of each row that an END statement returned; *displaced (may be NULL) gets those that the newest displaced. */
static enum db_status tell_ended(struct change *change, int64_t user_id, const char *username,
                                 const struct db_result *rows, struct place_list *displaced)
{
	for (size_t i = 0; i < db_rows(rows); i++) {
		enum ones_reason reason = reason_from_code(db_text(rows, i, ENDED_REASON));
		struct ones_event event = {
			.signal = reason == ONES_DISPLACED ? ONES_SESSION_DISPLACED : ONES_USER_LOGGED_OUT,
			.user_id = user_id,
			.username = username,
			.session_id = db_text(rows, i, ENDED_ID),
			.by_session_id = db_is_null(rows, i, ENDED_BY_ID) ? "" : db_text(rows, i, ENDED_BY_ID),
			.reason = reason,
			.was_ip = db_text(rows, i, ENDED_IP),
			.was_user_agent = db_text(rows, i, ENDED_USER_AGENT),
		};
		struct session_key key;
		enum db_status status;
		size_t size;
		const uint8_t *bytes = db_bytes(rows, i, ENDED_KEY, &size);

		if (size != sizeof key.bytes)
			return DB_ERROR;
		memcpy(key.bytes, bytes, sizeof key.bytes);
		status = change_tell(change, &key, event);
		if (status != DB_OK)
			return status;
		if (displaced != NULL && reason == ONES_DISPLACED &&
		    !places_add(change->ctx, displaced,
		                &(const struct session_place){
					.id = event.session_id,
					.created_at = db_time(rows, i, ENDED_CREATED_AT),
					.last_seen_at = db_time(rows, i, ENDED_LAST_SEEN_AT),
					.user_agent = db_text(rows, i, ENDED_USER_AGENT),
					.ip = db_text(rows, i, ENDED_IP),
				}))
			return DB_ERROR;
	}
	return DB_OK;
}

enum db_status change_end_by_key(struct change *change, int64_t user_id, const char *username,
                                 const struct session_key *key, enum ones_reason reason)
{
	const struct db_value values[] = {
		DB_INT(user_id),
		DB_BYTES(key->bytes, sizeof key->bytes),
		DB_TEXT(ones_reason_code(reason)),
		DB_NULL,
	};
	struct db_result *rows;
	enum db_status status = db_query(change->db, change->ctx, &sql_end_by_key, values, 4, &rows);

	return status != DB_OK ? status : tell_ended(change, user_id, username, rows, NULL);
}

enum db_status change_end_beyond_limit(struct change *change, int64_t user_id, const char *username, int64_t limit,
                                       int64_t idle_timeout_ms, const struct session_key *newest,
                                       struct place_list *displaced)
{
	const struct db_value values[] = {
		DB_INT(user_id),
		DB_INT(limit),
		DB_INT(idle_timeout_ms),
		newest != NULL ? DB_BYTES(newest->bytes, sizeof newest->bytes) : DB_NULL,
	};
	struct db_result *rows;
	enum db_status status;

	if (limit == 0)
		return DB_OK;
	status = db_query(change->db, change->ctx, &sql_end_beyond_limit, values, 4, &rows);
	return status != DB_OK ? status : tell_ended(change, user_id, username, rows, displaced);
}

enum db_status change_end_by_id(struct change *change, int64_t user_id, const char *username, const char *id,
                                const struct session_key *by, enum ones_reason reason, size_t *ended)
{
	const struct db_value values[] = {
		DB_INT(user_id),
		DB_TEXT(id),
		DB_TEXT(ones_reason_code(reason)),
		by != NULL ? DB_BYTES(by->bytes, sizeof by->bytes) : DB_NULL,
	};
	struct db_result *rows;
	enum db_status status = db_query(change->db, change->ctx, &sql_end_by_id, values, 4, &rows);

	if (status != DB_OK)
		return status;
	*ended += db_rows(rows);
	return tell_ended(change, user_id, username, rows, NULL);
}
