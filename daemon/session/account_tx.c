/* A change to an account's sessions in one transaction. */
#include "session/account_tx.h"

#include "base/log.h"
#include "session/reason.h"
#include "session/rule_sql.h"
#include "session/schema.h"

#include <string.h>

struct db_value client_ip(const struct client *client)
{
	return client->ip != NULL && client->ip[0] != '\0' ? DB_TEXT(client->ip) : DB_NULL;
}

enum db_status account_tx_unlock(const struct account_tx *tx, int64_t user_id)
{
	const struct db_value values[] = {DB_INT(user_id)};

	return db_query(tx->db, NULL, &sql_drop_lock_row, values, 1, NULL);
}

enum db_status account_tx_lock(const struct account_tx *tx, int64_t user_id)
{
	const struct db_value values[] = {DB_INT(user_id)};

	return db_query(tx->db, NULL, &sql_lock_account, values, 1, NULL);
}

enum db_status account_tx_emit(struct account_tx *tx, const struct session_key *key, struct ones_event event)
{
	const struct ones_db own = {.db = tx->db,
	                            .ctx = tx->ctx,
	                            .client_ip = tx->client.ip,
	                            .client_user_agent = tx->client.user_agent,
	                            .client_language = tx->client.language,
	                            .client_program = tx->client.program,
	                            .signals = tx->signals,
	                            .emission = &tx->emission};

	event.name = ones_signal_name(event.signal);
	event.ip = tx->client.ip != NULL ? tx->client.ip : "";
	event.user_agent = tx->client.user_agent != NULL ? tx->client.user_agent : "";
	event.language = tx->client.language != NULL ? tx->client.language : "";
	event.program = tx->client.program != NULL ? tx->client.program : "";
	event.was_ip = event.was_ip != NULL ? event.was_ip : "";
	event.was_user_agent = event.was_user_agent != NULL ? event.was_user_agent : "";
	tx->emission.ctx = tx->ctx;
	return emission_emit(&own, key, &event);
}

/* What one transaction of an account does; its events are those of its last run. */
struct bound_body {
	struct account_tx *tx;
	account_tx_body *body;
	void *context;
};

static enum db_status run_body(struct db *db, void *context)
{
	const struct bound_body *bound = context;

	(void)db;
	emission_begin(&bound->tx->emission);
	return bound->body(bound->tx, bound->context);
}

enum db_status account_tx_run(struct account_tx *tx, enum transaction_retry retry, account_tx_body *body, void *context)
{
	struct bound_body bound = {.tx = tx, .body = body, .context = context};
	enum db_status status = transaction_run(tx->db, retry, run_body, &bound);

	if (status == DB_OK)
		account_tx_committed(tx);
	if (status == DB_DUPLICATE) {
		schema_explain_duplicate(tx->db);
		log_error("database_duplicate", LOG_STR("problem", db_problem(tx->db)));
		return DB_ERROR;
	}
	if (status == DB_CONFLICT || (status == DB_UNKNOWN && retry == TRANSACTION_IDEMPOTENT))
		return DB_UNAVAILABLE;
	return status;
}

void account_tx_committed(const struct account_tx *tx)
{
	emission_committed(&tx->emission, tx->signals);
}

/* Emit an event for each row that an END statement returned; *displaced (may be NULL) gets the displaced sessions. */
static enum db_status emit_ended(struct account_tx *tx, int64_t user_id, const char *username,
                                 const struct db_result *rows, struct session_info_list *displaced)
{
	for (size_t i = 0; i < db_rows(rows); i++) {
		enum ones_reason reason = reason_from_code(db_text(rows, i, ENDED_REASON));
		struct ones_event event = {
			.signal = reason == ONES_REASON_DISPLACED ? ONES_SIGNAL_SESSION_DISPLACED
		                                                  : ONES_SIGNAL_LOGGED_OUT,
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
		status = account_tx_emit(tx, &key, event);
		if (status != DB_OK)
			return status;
		if (displaced != NULL && reason == ONES_REASON_DISPLACED &&
		    !session_info_add(tx->ctx, displaced,
		                      &(const struct session_info){
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

enum db_status account_tx_end_by_key(struct account_tx *tx, int64_t user_id, const char *username,
                                     const struct session_key *key, enum ones_reason reason)
{
	const struct db_value values[] = {
		DB_INT(user_id),
		DB_KEY(key),
		DB_TEXT(ones_reason_code(reason)),
		DB_NULL,
	};
	struct db_result *rows;
	enum db_status status = db_query(tx->db, tx->ctx, &sql_end_by_key, values, 4, &rows);

	return status != DB_OK ? status : emit_ended(tx, user_id, username, rows, NULL);
}

enum db_status account_tx_end_beyond_limit(struct account_tx *tx, int64_t user_id, const char *username, int64_t limit,
                                           int64_t idle_timeout_ms, const struct session_key *newest,
                                           struct session_info_list *displaced)
{
	const struct db_value values[] = {
		DB_INT(user_id),
		DB_INT(limit),
		DB_INT(idle_timeout_ms),
		newest != NULL ? DB_KEY(newest) : DB_NULL,
	};
	struct db_result *rows;
	enum db_status status;

	if (limit == 0)
		return DB_OK;
	status = db_query(tx->db, tx->ctx, &sql_end_beyond_limit, values, 4, &rows);
	return status != DB_OK ? status : emit_ended(tx, user_id, username, rows, displaced);
}

enum db_status account_tx_end_by_id(struct account_tx *tx, int64_t user_id, const char *username, const char *id,
                                    const struct session_key *by, enum ones_reason reason, size_t *ended)
{
	const struct db_value values[] = {
		DB_INT(user_id),
		DB_TEXT(id),
		DB_TEXT(ones_reason_code(reason)),
		by != NULL ? DB_KEY(by) : DB_NULL,
	};
	struct db_result *rows;
	enum db_status status = db_query(tx->db, tx->ctx, &sql_end_by_id, values, 4, &rows);

	if (status != DB_OK)
		return status;
	*ended += db_rows(rows);
	return emit_ended(tx, user_id, username, rows, NULL);
}
