/* onesessionctl session ... */
#include "ctl/output.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "session/events.h"
#include "session/revoke.h"
#include "session/sessions.h"
#include "session/token.h"
#include "session/useragent.h"

#include <stdlib.h>
#include <string.h>

/* As many are shown to people without --last: a table is measured before it is printed, and more are not read. */
#define LAST_SESSIONS 1000
#define LAST_ENDED    50

static json_t *session_json(const void *rows, size_t at)
{
	const struct session_row *row = (const struct session_row *)rows + at;

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:s, s:s}", "id", row->id, "username", row->username,
	                 "created_at", output_time(row->created_at), "last_seen_at", output_time(row->last_seen_at),
	                 "expires_at", output_time(row->expires_at), "ip", row->ip, "browser",
	                 useragent_browser(row->user_agent), "os", useragent_os(row->user_agent), "user_agent",
	                 row->user_agent);
}

static int list_for_people(const struct ctl *ctl, const struct session_row rows[], size_t count, bool is_all)
{
	/* What a narrow terminal cuts off stands last; an id that is cut would end no session. */
	static const struct table_column columns[] = {
		{.title = "ID"},
		{.title = "USERNAME", .shrinks = true},
		{.title = "LAST SEEN"},
		{.title = "BROWSER", .shrinks = true},
		{.title = "ADDRESS", .shrinks = true},
		{.title = "SIGNED IN"},
	};
	struct table *table;

	if (count == 0)
		return output_line("No sessions.");
	table = table_new(ctl->ctx, columns, sizeof columns / sizeof columns[0]);
	if (table == NULL)
		return fail("out of memory");
	for (size_t i = 0; i < count; i++) {
		table_cell(table, rows[i].id);
		table_cell(table, rows[i].username);
		table_cell(table, text_time(table, rows[i].last_seen_at));
		table_cell(table, output_device(table, rows[i].user_agent));
		table_cell(table, rows[i].ip);
		table_cell(table, text_time(table, rows[i].created_at));
	}
	if (table_print(table, stdout) != 0)
		return fail("out of memory");
	if (!is_all)
		return output_line("These are the newest %llu; --last N shows more or fewer.",
		                   (unsigned long long)count);
	return EXIT_SUCCESS;
}

int command_session_list(struct ctl *ctl)
{
	/* Programs are not to be given a part of what they believe to be all. */
	int64_t max = ctl->last >= 0 || ctl->json ? ctl->last : LAST_SESSIONS;
	const struct user *user = NULL;
	struct session_row *rows;
	enum db_status status;
	size_t count;
	bool is_all;

	if (ctl->user != NULL) {
		user = ctl_find_user(ctl, ctl->user);
		if (user == NULL)
			return EXIT_FAILURE;
	}
	/* One more, which is not shown. */
	status = sessions_list(ctl->db, ctl->ctx, user != NULL ? user->id : 0, ctl->settings.session.idle_timeout,
	                       max >= 0 ? max + 1 : -1, &rows, &count);
	if (status != DB_OK)
		return fail_database(ctl, status);
	is_all = max < 0 || count <= (size_t)max;
	if (!is_all)
		count = (size_t)max;
	return ctl->json ? output_json_array(count, session_json, rows) : list_for_people(ctl, rows, count, is_all);
}

/* ---- What has ended ----------------------------------------------------------------------------------------- */

/* The operator or the other session that has ended it, as an object; JSON null when there is none. */
static json_t *by_json(const struct ended_row *row)
{
	if (row->by.operator_name[0] != '\0')
		return json_pack("{s:s}", "operator", row->by.operator_name);
	if (row->by.id[0] == '\0')
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", row->by.id, "ip", row->by.ip, "browser",
	                 useragent_browser(row->by.user_agent), "os", useragent_os(row->by.user_agent), "user_agent",
	                 row->by.user_agent);
}

static json_t *ended_json(const void *rows, size_t at)
{
	const struct ended_row *row = (const struct ended_row *)rows + at;
	const struct session_row *was = &row->was;

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:o}", "id", was->id, "reason", row->reason,
	                 "ended_at", output_time(row->ended_at), "created_at", output_time(was->created_at),
	                 "last_seen_at", output_time(was->last_seen_at), "ip", was->ip, "browser",
	                 useragent_browser(was->user_agent), "os", useragent_os(was->user_agent), "user_agent",
	                 was->user_agent, "by", by_json(row));
}

/* A session that a rotation replaced is stored as logged_out, but its user did not sign out. */
static const char *why_text(const struct ended_row *row)
{
	return strcmp(row->reason, "logged_out") == 0 && row->by.id[0] != '\0' ? "signed in anew" : row->reason;
}

static const char *by_text(TALLOC_CTX *ctx, const struct ended_row *row)
{
	if (row->by.operator_name[0] != '\0')
		return talloc_asprintf(ctx, "operator %s", row->by.operator_name);
	return output_place(ctx, row->by.ip, useragent_browser(row->by.user_agent), useragent_os(row->by.user_agent));
}

static int history_for_people(const struct ctl *ctl, const struct ended_row rows[], size_t count, bool is_all)
{
	static const struct table_column columns[] = {
		{.title = "ENDED"},
		{.title = "WHY"},
		{.title = "WAS", .shrinks = true, .least = 15},
		{.title = "BY", .shrinks = true, .least = 15},
		{.title = "SIGNED IN"},
		{.title = "LAST SEEN"},
	};
	struct table *table;

	if (count == 0)
		return output_line("No session of it has ended.");
	table = table_new(ctl->ctx, columns, sizeof columns / sizeof columns[0]);
	if (table == NULL)
		return fail("out of memory");
	for (size_t i = 0; i < count; i++) {
		table_cell(table, text_time_exact(table, rows[i].ended_at));
		table_cell(table, why_text(&rows[i]));
		table_cell(table, output_place(table, rows[i].was.ip, useragent_browser(rows[i].was.user_agent),
		                               useragent_os(rows[i].was.user_agent)));
		table_cell(table, by_text(table, &rows[i]));
		table_cell(table, text_time_exact(table, rows[i].was.created_at));
		table_cell(table, text_time_exact(table, rows[i].was.last_seen_at));
	}
	if (table_print(table, stdout) != 0)
		return fail("out of memory");
	if (!is_all)
		return output_line("These are the last %llu; --last N shows more or fewer.", (unsigned long long)count);
	return EXIT_SUCCESS;
}

int command_session_history(struct ctl *ctl)
{
	int64_t max = ctl->last >= 0 ? ctl->last : LAST_ENDED;
	const struct user *user = ctl_find_user(ctl, ctl->operand);
	struct ended_row *rows;
	enum db_status status;
	size_t count;
	bool is_all;

	if (user == NULL)
		return EXIT_FAILURE;
	/* One more, which is not shown. */
	status = sessions_history(ctl->db, ctl->ctx, user->id, ctl->settings.session.idle_timeout, max + 1, &rows,
	                          &count);
	if (status != DB_OK)
		return fail_database(ctl, status);
	is_all = count <= (size_t)max;
	if (!is_all)
		count = (size_t)max;
	return ctl->json ? output_json_array(count, ended_json, rows) : history_for_people(ctl, rows, count, is_all);
}

/* ---- Ending ------------------------------------------------------------------------------------------------- */

/* Who did it; each of the sessions has an event of its own. */
static enum db_status record_end(struct db *db, int64_t user_id, const char *username, size_t ended, void *context)
{
	const struct ctl *ctl = context;
	json_t *more = json_pack("{s:I, s:s*}", "ended", (json_int_t)ended, "session", ctl->operand);
	TALLOC_CTX *scratch = talloc_new(NULL);
	enum db_status status =
		events_record_operator(db, "sessions_ended", user_id, username, ctl_operator_detail(scratch, more));

	talloc_free(scratch);
	return status;
}

int command_session_end(struct ctl *ctl)
{
	struct revocation revocation = {.id = ctl->operand, .record_end = record_end, .context = ctl};
	enum db_status status;
	size_t ended = 0;

	if (ctl->user != NULL) {
		const struct user *user = ctl_find_user(ctl, ctl->user);

		if (user == NULL)
			return EXIT_FAILURE;
		revocation.user_id = user->id;
	}
	if (revocation.id != NULL && !session_id_is_well_formed(revocation.id))
		return fail("no such session: %s", revocation.id);
	status = revoke_sessions(ctl->db, ctl->signals, ctl->ctx, &revocation, &ended);
	if (status != DB_OK && ended > 0)
		(void)fail("%s ended before it failed", output_count(ctl->ctx, (int64_t)ended, "session"));
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (revocation.id != NULL && ended == 0)
		return fail("no such session: %s", revocation.id);
	if (ctl->json)
		return output_json(json_pack("{s:I}", "ended_sessions", (json_int_t)ended));
	return output_line("%s ended.", output_count(ctl->ctx, (int64_t)ended, "session"));
}
