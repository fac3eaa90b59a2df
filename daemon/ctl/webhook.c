/* onesessionctl webhook ...: addresses of the site's own programs that are told of events. */
#include "base/clock.h"
#include "base/units.h"
#include "ctl/output.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "session/event_names.h"
#include "session/events.h"
#include "session/transaction.h"
#include "session/webhooks.h"
#include "webhook/sender.h"
#include "webhook/signature.h"
#include "webhook/url.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MS 200

/* The number that was given. False, and it was said, when it is none. */
static bool take_id(const struct ctl *ctl, int64_t *id)
{
	if (units_parse_number(ctl->operand, id) == 0 && *id > 0)
		return true;
	(void)fail("no such webhook: %s", ctl->operand);
	return false;
}

static enum db_status record(const struct ctl *ctl, struct db *db, const char *name, json_t *detail)
{
	return events_record_operator(db, name, 0, NULL, ctl_operator_detail(ctl->ctx, detail));
}

/* An array of names, or null for all: a new reference. */
static json_t *events_json(const char *events)
{
	json_t *array = events != NULL && events[0] != '\0' ? json_array() : json_null();

	for (size_t length; array != NULL && events != NULL && *events != '\0';
	     events += length + (events[length] != '\0')) {
		length = strcspn(events, " ,");
		if (json_array_append_new(array, json_stringn(events, length)) != 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* ---- add ------------------------------------------------------------------------------------------------------- */

struct webhook_addition {
	const struct ctl *ctl;
	char *url;
	const char *events; /* separated by commas; NULL: all */
	char secret[WEBHOOK_SECRET_SIZE];
	int64_t id;
};

static char *known_names(TALLOC_CTX *ctx)
{
	char *text = talloc_strdup(ctx, event_names[0]);

	for (size_t i = 1; text != NULL && event_names[i] != NULL; i++)
		text = talloc_asprintf_append_buffer(text, " %s", event_names[i]);
	return text;
}

/* The names, separated by spaces or commas, with commas. NULL, and it was said, when one is none. */
static char *events_of(const struct ctl *ctl)
{
	char *events = NULL;

	for (const char *at = ctl->events; *at != '\0';) {
		size_t length = strcspn(at, " ,");

		if (length > 0 && !event_name_is_known(at, length)) {
			(void)fail("no event has the name %.*s; there are: %s", (int)length, at, known_names(ctl->ctx));
			return NULL;
		}
		if (length > 0)
			events = events == NULL ? talloc_strndup(ctl->ctx, at, length)
			                        : talloc_asprintf_append_buffer(events, ",%.*s", (int)length, at);
		at += length + (at[length] != '\0');
	}
	if (events == NULL)
		(void)fail("--events names no event; there are: %s", known_names(ctl->ctx));
	return events;
}

static enum db_status add(struct db *db, void *context)
{
	struct webhook_addition *addition = context;
	const struct ctl *ctl = addition->ctl;
	enum db_status status = webhooks_add(db, addition->url, addition->events, addition->secret, &addition->id);

	if (status != DB_OK || addition->id == 0)
		return status;
	return record(ctl, db, "webhook_added", json_pack("{s:I}", "webhook", (json_int_t)addition->id));
}

int command_webhook_add(struct ctl *ctl)
{
	struct webhook_addition addition = {.ctl = ctl};
	const char *problem = webhook_url_problem(ctl->ctx, ctl->operand, &addition.url);
	enum db_status status;
	int result;

	if (problem != NULL)
		return fail("the address %s %s", ctl->operand, problem);
	if (ctl->events != NULL && (addition.events = events_of(ctl)) == NULL)
		return EXIT_FAILURE;
	webhook_secret_make(addition.secret);
	status = transaction_run(ctl->db, TRANSACTION_RETRIED, add, &addition);
	if (status != DB_OK)
		result = fail_database(ctl, status);
	else if (addition.id == 0)
		result = fail("there are %d webhooks already", WEBHOOKS_MAX);
	else if (ctl->json)
		result = output_json(json_pack("{s:I, s:s, s:o, s:s}", "id", (json_int_t)addition.id, "url",
		                               addition.url, "events", events_json(addition.events), "secret",
		                               addition.secret));
	else if ((result = output_line("Webhook %lld is added. Its secret, which is not shown again:",
	                               (long long)addition.id)) == EXIT_SUCCESS)
		result = output_line("%s", addition.secret);
	sodium_memzero(addition.secret, sizeof addition.secret);
	return result;
}

/* ---- list ------------------------------------------------------------------------------------------------------ */

static json_t *webhook_json(const void *rows, size_t at)
{
	const struct webhook_shown *one = (const struct webhook_shown *)rows + at;

	return json_pack("{s:I, s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:s, s:o}", "id", (json_int_t)one->id,
	                 "url", one->url, "events", events_json(one->events), "created_at",
	                 output_time(one->created_at), "disabled_at", output_time(one->disabled_at), "pending",
	                 (json_int_t)one->pending, "dead", (json_int_t)one->dead, "delivered",
	                 (json_int_t)one->delivered, "failed", (json_int_t)one->failed, "last_success_at",
	                 output_time(one->last_success_at), "last_failure_at", output_time(one->last_failure_at),
	                 "problem", one->problem, "next_at", output_time(one->next_at));
}

/* What was wrong is of interest until it has taken an event, and while one waits to be tried again. */
static const char *problem_text(const struct webhook_shown *one)
{
	if (one->disabled_at != 0)
		return "disabled: it has said that it is gone";
	return one->last_failure_at > one->last_success_at || one->next_at != 0 ? one->problem : "";
}

static int list_for_people(const struct ctl *ctl, const struct webhook_shown rows[], size_t count)
{
	static const struct table_column columns[] = {
		{.title = "ID", .right = true},
		{.title = "URL", .shrinks = true, .least = 14},
		{.title = "EVENTS", .shrinks = true},
		{.title = "PENDING", .right = true},
		{.title = "DEAD", .right = true},
		{.title = "PROBLEM", .shrinks = true, .least = 14},
		{.title = "NEXT TRY"},
		{.title = "LAST SUCCESS"},
	};
	struct table *table;

	if (count == 0)
		return output_line("No webhooks.");
	table = table_new(ctl->ctx, columns, sizeof columns / sizeof columns[0]);
	if (table == NULL)
		return fail("out of memory");
	for (size_t i = 0; i < count; i++) {
		table_cell(table, talloc_asprintf(table, "%lld", (long long)rows[i].id));
		table_cell(table, rows[i].url);
		table_cell(table, rows[i].events[0] != '\0' ? rows[i].events : "all");
		table_cell(table, talloc_asprintf(table, "%lld", (long long)rows[i].pending));
		table_cell(table, talloc_asprintf(table, "%lld", (long long)rows[i].dead));
		table_cell(table, problem_text(&rows[i]));
		table_cell(table, rows[i].next_at != 0 ? text_time(table, rows[i].next_at) : "");
		table_cell(table, text_time(table, rows[i].last_success_at));
	}
	return table_print(table, stdout) == 0 ? EXIT_SUCCESS : fail("out of memory");
}

int command_webhook_list(struct ctl *ctl)
{
	struct webhook_shown *rows;
	size_t count;
	enum db_status status = webhooks_list(ctl->db, ctl->ctx, &rows, &count);

	if (status != DB_OK)
		return fail_database(ctl, status);
	return ctl->json ? output_json_array(count, webhook_json, rows) : list_for_people(ctl, rows, count);
}

/* ---- test ------------------------------------------------------------------------------------------------------ */

static char *test_body(const struct ctl *ctl, const struct webhook_found *found)
{
	json_t *body = json_pack("{s:s, s:s, s:{s:n, s:s, s:s, s:n, s:s, s:n, s:n, s:s, s:{}}}", "type", "webhook_test",
	                         "timestamp", found->now, "data", "id", "at", found->now, "name", "webhook_test",
	                         "user_id", "username", "", "session_id", "ip", "user_agent", "", "detail");
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	char *copy = text != NULL ? talloc_strdup(ctl->ctx, text) : NULL;

	json_decref(body);
	free(text);
	return copy;
}

static int say_result(const struct ctl *ctl, const struct webhook_found *found, const struct webhook_result *result)
{
	bool is_taken = result->problem[0] == '\0';

	if (ctl->json) {
		int written = output_json(json_pack("{s:s, s:b, s:o, s:I, s:s}", "url", found->url, "taken",
		                                    (int)is_taken, "status",
		                                    result->status != 0 ? json_integer(result->status) : json_null(),
		                                    "ms", (json_int_t)result->took_ms, "problem", result->problem));

		return is_taken ? written : EXIT_FAILURE;
	}
	if (!is_taken)
		return fail("%s: %s (after %lld ms)", found->url, result->problem, (long long)result->took_ms);
	return output_line("%s answered %d after %lld ms.", found->url, result->status, (long long)result->took_ms);
}

int command_webhook_test(struct ctl *ctl)
{
	struct webhook_call call = {.url = NULL};
	struct webhook_result result;
	struct webhook_sender *sender;
	struct webhook_found found;
	enum db_status status;
	int64_t id;
	void *ended;

	if (!take_id(ctl, &id))
		return EXIT_FAILURE;
	status = webhooks_find(ctl->db, ctl->ctx, id, &found);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (found.url == NULL)
		return fail("no such webhook: %s", ctl->operand);
	call = (struct webhook_call){
		.url = found.url,
		.secret = found.secret,
		.id = talloc_asprintf(ctl->ctx, "test_%lld", (long long)clock_wall_us()),
		.body = test_body(ctl, &found),
	};
	sender = webhook_sender_prepare() == 0 ? webhook_sender_new(ctl->ctx) : NULL;
	if (sender == NULL || call.id == NULL || call.body == NULL)
		return fail("out of memory");
	call.size = strlen(call.body);
	if (!webhook_sender_begin(sender, &call))
		return fail("out of memory");
	while (!webhook_sender_step(sender, STEP_MS, &ended, &result))
		;
	talloc_free(sender);
	return say_result(ctl, &found, &result);
}

/* ---- retry, remove --------------------------------------------------------------------------------------------- */

struct webhook_change {
	const struct ctl *ctl;
	int64_t id; /* 0: all */
	bool was_there;
	int64_t count;
	const char *url;
};

static enum db_status retry(struct db *db, void *context)
{
	struct webhook_change *change = context;
	enum db_status status = webhooks_retry(db, change->id, &change->was_there, &change->count);

	if (status != DB_OK || !change->was_there)
		return status;
	return record(change->ctl, db, "webhook_retried",
	              json_pack("{s:o, s:I}", "webhook", change->id != 0 ? json_integer(change->id) : json_null(),
	                        "events", (json_int_t)change->count));
}

int command_webhook_retry(struct ctl *ctl)
{
	struct webhook_change change = {.ctl = ctl};
	enum db_status status;

	if (ctl->operand != NULL && !take_id(ctl, &change.id))
		return EXIT_FAILURE;
	status = transaction_run(ctl->db, TRANSACTION_RETRIED, retry, &change);
	if (status == DB_OK)
		status = webhooks_retry_dead(ctl->db, change.id, change.count);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (change.id != 0 && !change.was_there)
		return fail("no such webhook: %s", ctl->operand);
	if (ctl->json)
		return output_json(json_pack("{s:I}", "queued", (json_int_t)change.count));
	return output_line("%s will be sent again.", output_count(ctl->ctx, change.count, "event"));
}

static enum db_status remove_it(struct db *db, void *context)
{
	struct webhook_change *change = context;
	enum db_status status = webhooks_remove(db, change->ctl->ctx, change->id, &change->url);

	if (status != DB_OK || change->url == NULL)
		return status;
	return record(change->ctl, db, "webhook_removed", json_pack("{s:I}", "webhook", (json_int_t)change->id));
}

int command_webhook_remove(struct ctl *ctl)
{
	struct webhook_change change = {.ctl = ctl};
	enum db_status status;

	if (!take_id(ctl, &change.id))
		return EXIT_FAILURE;
	status = transaction_run(ctl->db, TRANSACTION_RETRIED, remove_it, &change);
	if (status == DB_OK && change.url != NULL)
		status = webhooks_drop_all_lost(ctl->db);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (change.url == NULL)
		return fail("no such webhook: %s", ctl->operand);
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s}", "removed", (json_int_t)change.id, "url", change.url));
	return output_line("Webhook %lld is removed: %s", (long long)change.id, change.url);
}
