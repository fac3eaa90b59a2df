/* Webhooks, and what is to be sent to them, as rows. */
#include "session/webhooks.h"

#include "session/events.h"
#include "session/transaction.h"
#include "session/webhook_sql.h"

#include <stdio.h>

/* So many rows an operator's command changes at once: others are not held up by it, and no statement takes long. */
#define PORTION 10000

/* ---- Sending ------------------------------------------------------------------------------------------------- */

void webhook_claim_init(struct webhook_claim *claim, struct db *db, int64_t lease_ms)
{
	*claim = (struct webhook_claim){.db = db, .lease_ms = lease_ms};
	claim_generate(claim->text);
}

static void read_claimed(const struct db_result *rows, size_t row, void *item)
{
	*(struct webhook_claimed *)item = (struct webhook_claimed){
		.id = db_int(rows, row, CLAIMED_WEBHOOK_ID),
		.url = db_text(rows, row, CLAIMED_WEBHOOK_URL),
		.secret = db_text(rows, row, CLAIMED_WEBHOOK_SECRET),
		.failures = db_int(rows, row, CLAIMED_WEBHOOK_FAILURES),
	};
}

enum db_status webhooks_claim(const struct webhook_claim *claim, TALLOC_CTX *ctx, struct webhook_claimed **rows,
                              size_t *count)
{
	const struct db_value values[] = {DB_TEXT(claim->text), DB_INT(claim->lease_ms)};
	enum db_status status;

	*rows = db_query_list(claim->db, ctx, &sql_claim_webhooks, values, 2, sizeof **rows, read_claimed, count,
	                      &status);
	return status;
}

static void read_id(const struct db_result *rows, size_t row, void *item)
{
	*(int64_t *)item = db_int(rows, row, 0);
}

enum db_status webhooks_renew(const struct webhook_claim *claim, TALLOC_CTX *ctx, const char *which, int64_t **ids,
                              size_t *count)
{
	const struct db_value values[] = {DB_TEXT(claim->text), DB_INT(claim->lease_ms), DB_TEXT(which)};
	enum db_status status;

	*ids = db_query_list(claim->db, ctx, &sql_renew_webhooks, values, 3, sizeof **ids, read_id, count, &status);
	return status;
}

enum db_status webhooks_release(const struct webhook_claim *claim, int64_t id)
{
	const struct db_value values[] = {DB_INT(id), DB_TEXT(claim->text)};

	return db_query(claim->db, NULL, &sql_release_webhook, values, 2, NULL);
}

char *webhook_ids_text(TALLOC_CTX *ctx, const int64_t ids[], size_t count)
{
	char *text = talloc_strdup(ctx, "{");

	for (size_t i = 0; text != NULL && i < count; i++)
		text = talloc_asprintf_append_buffer(text, "%s%lld", i > 0 ? "," : "", (long long)ids[i]);
	return text != NULL ? talloc_strdup_append_buffer(text, "}") : NULL;
}

static void read_due(const struct db_result *rows, size_t row, void *item)
{
	*(struct webhook_due *)item = (struct webhook_due){
		.id = db_int(rows, row, DUE_ID),
		.user_id = db_int(rows, row, DUE_USER_ID),
		.previous = db_int(rows, row, DUE_PREVIOUS),
		.attempts = db_int(rows, row, DUE_ATTEMPTS),
		.message_id = db_text(rows, row, DUE_MESSAGE_ID),
		.body = db_text(rows, row, DUE_BODY),
	};
}

enum db_status webhooks_due(const struct webhook_claim *claim, TALLOC_CTX *ctx, int64_t webhook, const char *known,
                            int64_t max, struct webhook_due **rows, size_t *count)
{
	const struct db_value values[] = {DB_INT(webhook), DB_TEXT(known), DB_INT(max)};
	enum db_status status;

	*rows = db_query_list(claim->db, ctx, &sql_due_deliveries, values, 3, sizeof **rows, read_due, count, &status);
	return status;
}

enum db_status webhooks_park(const struct webhook_claim *claim, int64_t webhook, const char *ids)
{
	const struct db_value values[] = {DB_INT(webhook), DB_TEXT(claim->text), DB_TEXT(ids)};

	return db_query(claim->db, NULL, &sql_park_deliveries, values, 3, NULL);
}

enum db_status webhooks_delivered(const struct webhook_claim *claim, int64_t webhook, const char *ids,
                                  const char *drained, int64_t *woken)
{
	const struct db_value values[] = {DB_INT(webhook), DB_TEXT(ids), DB_TEXT(drained), DB_INT(WEBHOOK_OF_ACCOUNT),
	                                  DB_INT(WEBHOOK_FAILURES_TO_BE_AWAY)};

	*woken = 0;
	return db_query_int(claim->db, &sql_delivered, values, 5, woken);
}

enum db_status webhooks_failed(const struct webhook_claim *claim, int64_t webhook, const struct webhook_due *due,
                               const char *problem, int64_t pause_ms, bool is_last, bool is_counted, bool *is_written,
                               bool *is_dead)
{
	const struct db_value values[] = {
		DB_INT(webhook),       DB_TEXT(claim->text),       DB_INT(due->id),
		DB_INT(due->attempts), DB_TEXT(problem),           DB_INT(pause_ms),
		DB_BOOL(is_last),      DB_INT(WEBHOOK_OF_ACCOUNT), DB_BOOL(is_counted),
	};
	struct db_result *row;
	enum db_status status = db_query(claim->db, NULL, &sql_delivery_failed, values, 9, &row);

	*is_written = status == DB_OK && db_rows(row) > 0;
	*is_dead = *is_written && db_bool(row, 0, 0);
	if (status == DB_OK)
		talloc_free(row);
	return status;
}

enum db_status webhooks_pause(const struct webhook_claim *claim, int64_t webhook, int64_t pause_ms)
{
	const struct db_value values[] = {DB_INT(webhook), DB_TEXT(claim->text), DB_INT(pause_ms)};

	return db_query(claim->db, NULL, &sql_pause_webhook, values, 3, NULL);
}

struct disabling {
	int64_t webhook;
	const char *problem;
	int64_t dead;
};

static enum db_status disable(struct db *db, void *context)
{
	struct disabling *disabling = context;
	const struct db_value values[] = {DB_INT(disabling->webhook), DB_TEXT(disabling->problem),
	                                  DB_INT(WEBHOOK_GIVE_UP_MAX)};
	char detail[64];
	enum db_status status;

	disabling->dead = -1;
	status = db_query_int(db, &sql_disable_webhook, values, 3, &disabling->dead);
	if (status != DB_OK || disabling->dead < 0)
		return status;
	(void)snprintf(detail, sizeof detail, "{\"webhook\": %lld}", (long long)disabling->webhook);
	return events_record(db, &(const struct event_record){.name = "webhook_disabled", .detail = detail});
}

enum db_status webhooks_disable(const struct webhook_claim *claim, int64_t webhook, const char *problem, int64_t *dead)
{
	struct disabling disabling = {.webhook = webhook, .problem = problem};
	enum db_status status = transaction_run(claim->db, TRANSACTION_RETRIED, disable, &disabling);

	*dead = disabling.dead;
	return status;
}

/* ---- Upkeep -------------------------------------------------------------------------------------------------- */

enum db_status webhooks_are_there(struct db *db, bool *are_there)
{
	struct db_result *row;
	enum db_status status = db_query(db, NULL, &sql_has_webhooks, NULL, 0, &row);

	*are_there = status == DB_OK && db_bool(row, 0, 0);
	if (status == DB_OK)
		talloc_free(row);
	return status;
}

enum db_status webhooks_drop_lost(struct db *db, int64_t max, int64_t *count)
{
	const struct db_value values[] = {DB_INT(max)};

	*count = 0;
	return db_query_int(db, &sql_drop_lost_deliveries, values, 1, count);
}

enum db_status webhooks_wake(struct db *db, int64_t max, struct webhook_wake *wake)
{
	const struct db_value values[] = {DB_INT(wake->webhook), DB_INT(wake->user_id), DB_INT(max)};
	struct db_result *row;
	enum db_status status = db_query(db, NULL, &sql_wake_deliveries, values, 3, &row);

	if (status != DB_OK)
		return status;
	wake->webhook = db_int(row, 0, 0);
	wake->user_id = db_int(row, 0, 1);
	wake->is_over = db_int(row, 0, 2) < max;
	talloc_free(row);
	return DB_OK;
}

enum db_status webhooks_give_up(struct db *db, int64_t *count)
{
	const struct db_value values[] = {DB_INT(WEBHOOK_FAILURES_TO_BE_AWAY), DB_INT(WEBHOOK_GIVE_UP_MAX),
	                                  DB_INT(WEBHOOK_OF_ACCOUNT)};

	*count = 0;
	return db_query_int(db, &sql_give_up_deliveries, values, 3, count);
}

enum db_status webhooks_queue(struct db *db, struct webhook_queue *queue)
{
	const struct db_value values[] = {DB_INT(WEBHOOK_COUNTED_MAX)};
	struct db_result *row;
	enum db_status status = db_query(db, NULL, &sql_webhook_queue, values, 1, &row);

	*queue = (struct webhook_queue){0};
	if (status != DB_OK)
		return status;
	*queue = (struct webhook_queue){
		.webhooks = db_int(row, 0, 0),
		.pending = db_int(row, 0, 1),
		.dead = db_int(row, 0, 2),
		.oldest_ms = db_int(row, 0, 3),
	};
	talloc_free(row);
	return DB_OK;
}

/* ---- For operators ------------------------------------------------------------------------------------------- */

enum db_status webhooks_add(struct db *db, const char *url, const char *events, const char *secret, int64_t *id)
{
	const struct db_value values[] = {DB_TEXT(url), DB_TEXT(events), DB_TEXT(secret), DB_INT(WEBHOOKS_MAX)};
	struct db_result *row;
	enum db_status status = db_query(db, NULL, &sql_add_webhook, values, 4, &row);

	*id = 0;
	if (status != DB_OK)
		return status;
	if (db_rows(row) > 0)
		*id = db_int(row, 0, 0);
	talloc_free(row);
	return DB_OK;
}

static void read_shown(const struct db_result *rows, size_t row, void *item)
{
	*(struct webhook_shown *)item = (struct webhook_shown){
		.id = db_int(rows, row, SHOWN_WEBHOOK_ID),
		.url = db_text(rows, row, SHOWN_WEBHOOK_URL),
		.events = db_text(rows, row, SHOWN_WEBHOOK_EVENTS),
		.created_at = db_time(rows, row, SHOWN_WEBHOOK_CREATED_AT),
		.disabled_at = db_time_or_never(rows, row, SHOWN_WEBHOOK_DISABLED_AT),
		.pending = db_int(rows, row, SHOWN_WEBHOOK_PENDING),
		.dead = db_int(rows, row, SHOWN_WEBHOOK_DEAD),
		.delivered = db_int(rows, row, SHOWN_WEBHOOK_DELIVERED),
		.failed = db_int(rows, row, SHOWN_WEBHOOK_FAILED),
		.last_success_at = db_time_or_never(rows, row, SHOWN_WEBHOOK_LAST_SUCCESS_AT),
		.last_failure_at = db_time_or_never(rows, row, SHOWN_WEBHOOK_LAST_FAILURE_AT),
		.problem = db_text(rows, row, SHOWN_WEBHOOK_PROBLEM),
		.next_at = db_time_or_never(rows, row, SHOWN_WEBHOOK_NEXT_AT),
	};
}

enum db_status webhooks_list(struct db *db, TALLOC_CTX *ctx, struct webhook_shown **rows, size_t *count)
{
	enum db_status status;

	*rows = db_query_list(db, ctx, &sql_list_webhooks, NULL, 0, sizeof **rows, read_shown, count, &status);
	return status;
}

enum db_status webhooks_find(struct db *db, TALLOC_CTX *ctx, int64_t id, struct webhook_found *found)
{
	const struct db_value values[] = {DB_INT(id)};
	struct db_result *row;
	enum db_status status = db_query(db, ctx, &sql_find_webhook, values, 1, &row);

	*found = (struct webhook_found){0};
	if (status == DB_OK && db_rows(row) > 0)
		*found = (struct webhook_found){
			.url = db_text(row, 0, 0),
			.secret = db_text(row, 0, 1),
			.now = db_text(row, 0, 2),
		};
	return status;
}

enum db_status webhooks_retry(struct db *db, int64_t id, bool *was_there, int64_t *count)
{
	const struct db_value values[] = {DB_INT(id)};
	struct db_result *row;
	enum db_status status = db_query(db, NULL, &sql_retry_webhooks, values, 1, &row);

	*was_there = false;
	*count = 0;
	if (status != DB_OK)
		return status;
	*was_there = db_bool(row, 0, 0);
	*count = db_int(row, 0, 1);
	talloc_free(row);
	return DB_OK;
}

enum db_status webhooks_retry_dead(struct db *db, int64_t id, int64_t count)
{
	const struct db_value values[] = {DB_INT(id), DB_INT(PORTION)};
	enum db_status status = DB_OK;
	int64_t part = 1;

	/* Those that are dead again meanwhile are not done twice. */
	for (int64_t done = 0; status == DB_OK && part > 0 && done < count; done += part)
		status = db_query_int(db, &sql_retry_deliveries, values, 2, &part);
	return status;
}

enum db_status webhooks_remove(struct db *db, TALLOC_CTX *ctx, int64_t id, const char **url)
{
	const struct db_value values[] = {DB_INT(id)};
	struct db_result *row;
	enum db_status status = db_query(db, ctx, &sql_remove_webhook, values, 1, &row);

	*url = status == DB_OK && db_rows(row) > 0 ? db_text(row, 0, 0) : NULL;
	return status;
}

enum db_status webhooks_drop_all_lost(struct db *db)
{
	enum db_status status;
	int64_t count;

	do
		status = webhooks_drop_lost(db, PORTION, &count);
	while (status == DB_OK && count > 0);
	return status;
}
