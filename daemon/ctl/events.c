/* onesessionctl events, and sharing: what has happened. */
#include "base/rfc3339.h"
#include "ctl/output.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "session/events.h"
#include "session/sharing.h"
#include "session/useragent.h"
#include "session/users.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAST_EVENTS  50
#define LAST_SHARING 20

/* Where no notifications arrive, as behind pgbouncer, events are read as often as this. */
#define POLL_MS 3000
/* While there are many, they are read as often as this and no more. */
#define LULL_MS  50
#define RETRY_MS 1000

/* ---- One event ---------------------------------------------------------------------------------------------- */

/* To the microsecond, as it is sent with NOTIFY: what happened in the same second has an order. */
static json_t *exact_time(int64_t us)
{
	char text[RFC3339_SIZE];

	return rfc3339_write(us, 6, text) ? json_string(text) : json_null();
}

static json_t *text_or_null(const char *text)
{
	return text[0] != '\0' ? json_string(text) : json_null();
}

/* The same that is sent with NOTIFY. */
static json_t *event_json(const struct event_row *event)
{
	json_t *user_id = event->user_id > 0 ? json_integer(event->user_id) : json_null();

	return json_pack("{s:I, s:o, s:s, s:o, s:s, s:o, s:o, s:s, s:o}", "id", (json_int_t)event->id, "at",
	                 exact_time(event->at), "name", event->name, "user_id", user_id, "username", event->username,
	                 "session_id", text_or_null(event->session_id), "ip", text_or_null(event->ip), "user_agent",
	                 event->user_agent, "detail", json_loads(event->detail, 0, NULL));
}

static json_t *event_of_list(const void *rows, size_t at)
{
	return event_json(&((const struct event_row *)rows)[at]);
}

/* "was 192.0.2.7, Firefox on Linux": the device of a session that was displaced, on `ctx`; "" when there is none. */
static char *was_text(TALLOC_CTX *ctx, const json_t *was)
{
	const char *ip = json_string_value(json_object_get(was, "ip"));
	const char *browser = json_string_value(json_object_get(was, "browser"));
	const char *os = json_string_value(json_object_get(was, "os"));

	if (ip == NULL || browser == NULL || os == NULL)
		return talloc_strdup(ctx, "");
	return talloc_asprintf(ctx, "was %s", output_place(ctx, ip, browser, os));
}

/* "by=... reason=displaced": what is in the detail but for the operator, on `ctx`. */
static const char *detail_text(TALLOC_CTX *ctx, json_t *detail)
{
	char *text = was_text(ctx, json_object_get(detail, "was"));
	const char *key;
	json_t *value;

	json_object_foreach(detail, key, value)
	{
		char *dumped = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);

		if (text != NULL && strcmp(key, "operator") != 0 && strcmp(key, "was") != 0)
			text = talloc_asprintf_append_buffer(text, "%s%s=%s", text[0] != '\0' ? " " : "", key,
			                                     dumped != NULL ? dumped : json_string_value(value));
		free(dumped);
	}
	return text;
}

/* "192.0.2.7, Firefox on Linux", or "operator ada", on `ctx`; NULL when out of memory. */
static const char *from_text(TALLOC_CTX *ctx, const struct event_row *event, const json_t *detail)
{
	const char *operator= json_string_value(json_object_get(detail, "operator"));

	return operator!= NULL ? talloc_asprintf(ctx, "operator %s", operator)
	                       : output_place(ctx, event->ip, useragent_browser(event->user_agent),
	                                      useragent_os(event->user_agent));
}

static const struct table_column event_columns[] = {
	{.title = "TIME"},
	{.title = "EVENT"},
	{.title = "USERNAME", .shrinks = true, .least = 10},
	{.title = "FROM", .shrinks = true, .least = 15},
	{.title = "DETAIL", .shrinks = true, .least = 10},
};

#define EVENT_COLUMNS (sizeof event_columns / sizeof event_columns[0])

static void put_events(struct table *table, const struct event_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		TALLOC_CTX *scratch = talloc_new(NULL);
		const struct event_row *event = &list->rows[i];
		json_t *detail = json_loads(event->detail, 0, NULL);

		table_cell(table, text_time(scratch, event->at));
		table_cell(table, event->name);
		table_cell(table, event->username);
		table_cell(table, from_text(scratch, event, detail));
		table_cell(table, detail_text(scratch, detail));
		json_decref(detail);
		talloc_free(scratch);
	}
}

static int list_for_people(const struct ctl *ctl, const struct event_list *list, int64_t max)
{
	struct table *table;

	if (list->count == 0)
		return output_line("No events.");
	table = table_new(ctl->ctx, event_columns, EVENT_COLUMNS);
	if (table == NULL)
		return fail("out of memory");
	put_events(table, list);
	if (table_print(table, stdout) != 0)
		return fail("out of memory");
	if ((int64_t)list->count == max)
		return output_line("The latest %lld events; --last N shows more or fewer.", (long long)max);
	return EXIT_SUCCESS;
}

/* ---- Following ---------------------------------------------------------------------------------------------- */

struct follower {
	struct ctl *ctl;
	struct event_feed *feed;
	struct table_column columns[EVENT_COLUMNS];
	struct table *table;
	int result; /* of the program, when it is to end */
};

/* The events that are to come are not known: the columns are as wide as is usual. */
static bool set_up_table(struct follower *follower)
{
	static const size_t usual[EVENT_COLUMNS] = {16, 21, 20, 40, 40};

	memcpy(follower->columns, event_columns, sizeof event_columns);
	for (size_t i = 0; i < EVENT_COLUMNS; i++)
		follower->columns[i].wanted = usual[i];
	follower->table = table_new(follower->ctl->ctx, follower->columns, EVENT_COLUMNS);
	return follower->table != NULL;
}

/* Returns whether to go on. */
static bool print_events(const struct event_list *list, void *context)
{
	struct follower *follower = context;

	if (!follower->ctl->json) {
		put_events(follower->table, list);
		if (table_print(follower->table, stdout) != 0)
			follower->result = fail("out of memory");
		else if (fflush(stdout) != 0)
			follower->result = EXIT_FAILURE;
		table_continue(follower->table);
	}
	for (size_t i = 0; follower->ctl->json && i < list->count && follower->result == EXIT_SUCCESS; i++)
		follower->result = output_json_line(event_json(&list->rows[i]));
	return follower->result == EXIT_SUCCESS;
}

/* Ends the program when the reader of its output has closed the pipe: there may be nothing to write for long. */
static void end_without_reader(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	if (poll(&out, 1, 0) > 0 && (out.revents & POLLERR) != 0)
		(void)raise(SIGPIPE);
}

/* As long as the connection holds. */
static enum db_status listen_and_print(struct follower *follower)
{
	struct db *db = follower->ctl->db;
	enum db_status status = DB_OK;

	while (status == DB_OK && follower->result == EXIT_SUCCESS) {
		status = db_listen(db, "onesession");
		if (status == DB_OK)
			status = event_feed_read(follower->feed, print_events, follower);
		if (status != DB_OK || follower->result != EXIT_SUCCESS)
			break;
		(void)poll(NULL, 0, LULL_MS);
		status = db_wait_notification(db, POLL_MS);
		end_without_reader();
	}
	return status;
}

static int follow(struct follower *follower)
{
	struct db *db = follower->ctl->db;

	for (;;) {
		enum db_status status = listen_and_print(follower);

		if (follower->result != EXIT_SUCCESS)
			return follower->result;
		if (status == DB_ERROR || status == DB_DUPLICATE)
			return fail_database(follower->ctl, status);
		(void)fail("the connection to the database was lost, trying again: %s", db_problem(db));
		do {
			end_without_reader();
			(void)poll(NULL, 0, RETRY_MS);
			if (db_connect(db) != DB_OK && db_schema_mismatch(db))
				return fail_database(follower->ctl, DB_UNAVAILABLE);
		} while (!db_is_connected(db));
		(void)fail("connected again, and nothing was missed");
	}
}

static int begin_to_follow(struct ctl *ctl, int64_t user_id, int64_t max)
{
	struct follower follower = {.ctl = ctl, .feed = event_feed_new(ctl->ctx, ctl->db, user_id)};
	struct event_list list;
	enum db_status status;

	if (follower.feed == NULL || !set_up_table(&follower))
		return fail("out of memory");
	/* In this order, what comes in between is among the latest. */
	status = event_feed_begin(follower.feed);
	if (status == DB_OK)
		status = events_latest(ctl->db, ctl->ctx, user_id, max, &list);
	if (status == DB_OK)
		status = event_feed_skip(follower.feed, &list);
	if (status != DB_OK)
		return fail_database(ctl, status);
	return print_events(&list, &follower) ? follow(&follower) : follower.result;
}

int command_events(struct ctl *ctl)
{
	int64_t max = ctl->last >= 0 ? ctl->last : LAST_EVENTS;
	int64_t user_id = 0;
	struct event_list list;
	enum db_status status;

	if (ctl->user != NULL) {
		const struct user *user = ctl_find_user(ctl, ctl->user);

		if (user == NULL)
			return EXIT_FAILURE;
		user_id = user->id;
	}
	if (ctl->follows)
		return begin_to_follow(ctl, user_id, max);
	status = events_latest(ctl->db, ctl->ctx, user_id, max, &list);
	if (status != DB_OK)
		return fail_database(ctl, status);
	return ctl->json ? output_json_array(list.count, event_of_list, list.rows) : list_for_people(ctl, &list, max);
}

/* ---- Sharing ------------------------------------------------------------------------------------------------ */

static int sharing_for_people(const struct ctl *ctl, const struct sharing_row rows[], size_t count)
{
	static const struct table_column columns[] = {
		{.title = "USERNAME", .shrinks = true},
		{.title = "TAKEOVERS", .right = true},
		{.title = "IN HISTORY", .right = true},
		{.title = "LAST"},
		{.title = "SHARED"},
		{.title = "COOLDOWN UNTIL"},
	};
	struct table *table;

	if (count == 0)
		return output_line("No account was taken over.");
	table = table_new(ctl->ctx, columns, sizeof columns / sizeof columns[0]);
	if (table == NULL)
		return fail("out of memory");
	for (size_t i = 0; i < count; i++) {
		table_cell(table, rows[i].username);
		table_cell(table, talloc_asprintf(table, "%lld", (long long)rows[i].in_window));
		table_cell(table, talloc_asprintf(table, "%lld", (long long)rows[i].in_history));
		table_cell(table, text_time(table, rows[i].last_at));
		table_cell(table, text_time(table, rows[i].shared_at));
		table_cell(table, rows[i].cooldown_until > 0 ? text_time(table, rows[i].cooldown_until) : "no");
	}
	return table_print(table, stdout) == 0 ? EXIT_SUCCESS : fail("out of memory");
}

static json_t *sharing_json(const void *rows, size_t at)
{
	const struct sharing_row *row = (const struct sharing_row *)rows + at;

	return json_pack("{s:I, s:s, s:I, s:I, s:o, s:o, s:o}", "user_id", (json_int_t)row->user_id, "username",
	                 row->username, "takeovers_in_window", (json_int_t)row->in_window, "takeovers_in_history",
	                 (json_int_t)row->in_history, "last_takeover_at", output_time(row->last_at), "shared_at",
	                 output_time(row->shared_at), "cooldown_until", output_time(row->cooldown_until));
}

int command_sharing(struct ctl *ctl)
{
	int64_t max = ctl->last >= 0 ? ctl->last : LAST_SHARING;
	struct sharing_row *rows = NULL;
	size_t count;
	enum db_status status = sharing_list(ctl->db, ctl->ctx, ctl->settings.sharing.window, max, &rows, &count);

	if (status != DB_OK)
		return fail_database(ctl, status);
	return ctl->json ? output_json_array(count, sharing_json, rows) : sharing_for_people(ctl, rows, count);
}
