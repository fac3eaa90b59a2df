/* onesessionctl events, and sharing: what has happened. */
#include "ctl/output.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "session/events.h"
#include "session/sharing.h"
#include "session/users.h"

#include <poll.h>
#include <stdlib.h>

#define LAST_EVENTS  50
#define LAST_SHARING 20

/* As many events are read at once; how many there are is bounded by nothing. */
#define PAGE 1000

/* Where the server tells of no events, as behind pgbouncer, they are looked for as often. */
#define LOOK_MS  3000
#define RETRY_MS 1000

static json_t *event_json(const struct event_row *event)
{
	json_t *detail = json_loads(event->detail, 0, NULL);
	json_t *user_id = event->user_id > 0 ? json_integer(event->user_id) : json_null();

	return json_pack("{s:I, s:o, s:s, s:o, s:s, s:s, s:s, s:s, s:o}", "id", (json_int_t)event->id, "at",
	                 output_time(event->at), "name", event->name, "user_id", user_id, "username", event->username,
	                 "session_id", event->session_id, "ip", event->ip, "user_agent", event->user_agent, "detail",
	                 detail);
}

/* "by=... reason=displaced": what is in the detail, on `ctx`. */
static const char *detail_text(TALLOC_CTX *ctx, const char *detail)
{
	json_t *object = json_loads(detail, 0, NULL);
	char *text = talloc_strdup(ctx, "");
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		char *dumped = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);

		if (text != NULL)
			text = talloc_asprintf_append_buffer(text, "%s%s=%s", text[0] != '\0' ? " " : "", key,
			                                     dumped != NULL ? dumped : json_string_value(value));
		free(dumped);
	}
	json_decref(object);
	return text;
}

static int list_for_people(const struct ctl *ctl, const struct event_list *list)
{
	static const struct table_column columns[] = {
		{.title = "TIME"},
		{.title = "EVENT"},
		{.title = "USERNAME", .shrinks = true},
		{.title = "ADDRESS", .shrinks = true},
		{.title = "BROWSER", .shrinks = true},
		{.title = "DETAIL", .shrinks = true},
	};
	struct table *table;

	if (list->count == 0)
		return output_line("No events.");
	table = table_new(ctl->ctx, columns, sizeof columns / sizeof columns[0]);
	if (table == NULL)
		return fail("out of memory");
	for (size_t i = 0; i < list->count; i++) {
		const struct event_row *event = &list->rows[i];

		table_cell(table, text_time(table, event->at));
		table_cell(table, event->name);
		table_cell(table, event->username);
		table_cell(table, event->ip);
		table_cell(table, output_device(table, event->user_agent));
		table_cell(table, detail_text(table, event->detail));
	}
	return table_print(table, stdout) == 0 ? EXIT_SUCCESS : fail("out of memory");
}

static int list_for_programs(const struct event_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++) {
		if (json_array_append_new(array, event_json(&list->rows[i])) != 0) {
			json_decref(array);
			return fail("out of memory");
		}
	}
	return output_json(array);
}

/* ---- Following ---------------------------------------------------------------------------------------------- */

/*
 * An event is seen when its transaction commits, which may be after one with a higher id. So what is above `settled`
 * is looked through again and again, and `shown` has the ids above it that were told.
 */
struct follower {
	struct ctl *ctl;
	int64_t user_id;
	int64_t settled;
	int64_t *shown; /* in ascending order */
	size_t shown_count;
};

static int print_event(const struct ctl *ctl, TALLOC_CTX *ctx, const struct event_row *event)
{
	const char *at, *device, *detail;

	if (ctl->json) {
		json_t *line = event_json(event);
		int result = line != NULL ? json_dumpf(line, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) : -1;

		json_decref(line);
		if (result != 0)
			return fail("out of memory");
		(void)fputc('\n', stdout);
	} else {
		at = text_time(ctx, event->at);
		device = output_device(ctx, event->user_agent);
		detail = detail_text(ctx, event->detail);
		if (at == NULL || device == NULL || detail == NULL)
			return fail("out of memory");
		(void)output_line("%s  %-22s  %-16s  %-15s  %-20s  %s", at, event->name, event->username, event->ip,
		                  device, detail);
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int compare(const void *one, const void *other)
{
	int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;

	return (a > b) - (a < b);
}

static bool is_shown(const struct follower *follower, int64_t id)
{
	return follower->shown_count > 0 &&
	       bsearch(&id, follower->shown, follower->shown_count, sizeof id, compare) != NULL;
}

/* What is at or below the new `settled` is not looked at any more. */
static void settle(struct follower *follower, int64_t settled)
{
	size_t kept = 0;

	for (size_t i = 0; i < follower->shown_count; i++) {
		if (follower->shown[i] > settled)
			follower->shown[kept++] = follower->shown[i];
	}
	follower->shown_count = kept;
	follower->settled = settled;
}

/* Tell of the page's events that were not told yet. */
static int show_page(struct follower *follower, TALLOC_CTX *ctx, const struct event_list *page)
{
	size_t known = follower->shown_count;
	int64_t *grown;

	if (page->count == 0)
		return EXIT_SUCCESS;
	grown = talloc_realloc(follower->ctl->ctx, follower->shown, int64_t, (unsigned)(known + page->count));
	if (grown == NULL)
		return fail("out of memory");
	follower->shown = grown;
	for (size_t i = 0; i < page->count; i++) {
		if (is_shown(follower, page->rows[i].id))
			continue;
		if (print_event(follower->ctl, ctx, &page->rows[i]) != EXIT_SUCCESS)
			return EXIT_FAILURE;
		grown[known++] = page->rows[i].id;
	}
	follower->shown_count = known;
	qsort(grown, known, sizeof grown[0], compare);
	return EXIT_SUCCESS;
}

/* *result is the exit code when it is not to go on. */
static enum db_status look(struct follower *follower, int *result)
{
	struct db *db = follower->ctl->db;
	int64_t settled, after = follower->settled;
	struct event_list page;
	enum db_status status = events_settled(db, &settled);

	*result = EXIT_SUCCESS;
	do {
		TALLOC_CTX *scratch = talloc_new(follower->ctl->ctx);

		if (status == DB_OK)
			status = events_after(db, scratch, follower->user_id, after, PAGE, &page);
		if (status == DB_OK) {
			*result = show_page(follower, scratch, &page);
			after = page.count > 0 ? page.rows[page.count - 1].id : after;
		}
		talloc_free(scratch);
	} while (status == DB_OK && *result == EXIT_SUCCESS && page.count == PAGE);
	if (status == DB_OK && *result == EXIT_SUCCESS)
		settle(follower, settled);
	return status;
}

static enum db_status listen_and_look(struct follower *follower, int *result)
{
	enum db_status status = DB_OK;

	while (status == DB_OK && *result == EXIT_SUCCESS) {
		/* Each time: the connection may be another one, and to listen twice is to listen once. */
		status = db_script(follower->ctl->db, "LISTEN onesession");
		if (status == DB_OK)
			status = look(follower, result);
		if (status == DB_OK && *result == EXIT_SUCCESS)
			status = db_wait_notification(follower->ctl->db, LOOK_MS);
	}
	return status;
}

/* Until it is interrupted, or nobody reads it any more. A connection that is lost is made anew, and nothing missed. */
static int follow(struct follower *follower)
{
	struct db *db = follower->ctl->db;
	int result = EXIT_SUCCESS;
	enum db_status status;

	while (result == EXIT_SUCCESS) {
		status = listen_and_look(follower, &result);
		if (result != EXIT_SUCCESS)
			break;
		if (status == DB_ERROR || status == DB_DUPLICATE)
			return fail_database(follower->ctl, status);
		(void)fail("the connection to the database was lost; trying again");
		while (db_connect(db) != DB_OK)
			(void)poll(NULL, 0, RETRY_MS);
		(void)fail("connected again");
	}
	return result;
}

int command_events(struct ctl *ctl)
{
	struct follower follower = {.ctl = ctl};
	int64_t max = ctl->last >= 0 ? ctl->last : LAST_EVENTS;
	int64_t until = INT64_MAX;
	struct event_list list;
	enum db_status status = DB_OK;
	int result = EXIT_SUCCESS;

	if (ctl->user != NULL) {
		const struct user *user = ctl_find_user(ctl, ctl->user);

		if (user == NULL)
			return EXIT_FAILURE;
		follower.user_id = user->id;
	}
	if (ctl->follows)
		status = events_settled(ctl->db, &until);
	if (status == DB_OK)
		status = events_latest(ctl->db, ctl->ctx, follower.user_id, until, max, &list);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (!ctl->follows)
		return ctl->json ? list_for_programs(&list) : list_for_people(ctl, &list);
	for (size_t i = 0; i < list.count && result == EXIT_SUCCESS; i++)
		result = print_event(ctl, ctl->ctx, &list.rows[i]);
	follower.settled = until;
	return result == EXIT_SUCCESS ? follow(&follower) : result;
}

/* ---- Sharing ------------------------------------------------------------------------------------------------ */

static int sharing_for_people(const struct ctl *ctl, const struct sharing_row rows[], size_t count)
{
	static const struct table_column columns[] = {
		{.title = "USERNAME", .shrinks = true},
		{.title = "OF LATE", .right = true},
		{.title = "IN HISTORY", .right = true},
		{.title = "LAST TAKEOVER"},
		{.title = "TOLD AS SHARED"},
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
		table_cell(table, rows[i].cooldown_until > 0 ? text_time(table, rows[i].cooldown_until) : "-");
	}
	return table_print(table, stdout) == 0 ? EXIT_SUCCESS : fail("out of memory");
}

int command_sharing(struct ctl *ctl)
{
	struct sharing_row *rows = NULL;
	size_t count;
	enum db_status status = sharing_list(ctl->db, ctl->ctx, ctl->settings.sharing.window,
	                                     ctl->last >= 0 ? ctl->last : LAST_SHARING, &rows, &count);
	json_t *list;

	if (status != DB_OK)
		return fail_database(ctl, status);
	if (!ctl->json)
		return sharing_for_people(ctl, rows, count);
	list = json_array();
	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(list, json_pack("{s:I, s:s, s:I, s:I, s:o, s:o, s:o}", "user_id",
		                                          (json_int_t)rows[i].user_id, "username", rows[i].username,
		                                          "takeovers_in_window", (json_int_t)rows[i].in_window,
		                                          "takeovers_in_history", (json_int_t)rows[i].in_history,
		                                          "last_takeover_at", output_time(rows[i].last_at), "shared_at",
		                                          output_time(rows[i].shared_at), "cooldown_until",
		                                          output_time(rows[i].cooldown_until))) != 0) {
			json_decref(list);
			return fail("out of memory");
		}
	}
	return output_json(list);
}
