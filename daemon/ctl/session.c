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

static json_t *session_json(const struct session_row *row)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:s, s:s}", "id", row->id, "username", row->username,
	                 "created_at", output_time(row->created_at), "last_seen_at", output_time(row->last_seen_at),
	                 "expires_at", output_time(row->expires_at), "ip", row->ip, "browser",
	                 useragent_browser(row->user_agent), "os", useragent_os(row->user_agent), "user_agent",
	                 row->user_agent);
}

static int list_for_people(const struct ctl *ctl, const struct session_row rows[], size_t count)
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
	return table_print(table, stdout) == 0 ? EXIT_SUCCESS : fail("out of memory");
}

int command_session_list(struct ctl *ctl)
{
	const struct user *user = NULL;
	struct session_row *rows;
	enum db_status status;
	size_t count;
	json_t *list;

	if (ctl->user != NULL) {
		user = ctl_find_user(ctl, ctl->user);
		if (user == NULL)
			return EXIT_FAILURE;
	}
	status = sessions_list(ctl->db, ctl->ctx, user != NULL ? user->id : 0, ctl->settings.session.idle_timeout,
	                       &rows, &count);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (!ctl->json)
		return list_for_people(ctl, rows, count);
	list = json_array();
	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(list, session_json(&rows[i])) != 0) {
			json_decref(list);
			return fail("out of memory");
		}
	}
	return output_json(list);
}

static enum db_status record_end(struct ctl *ctl, const struct user *user, const char *id, size_t ended)
{
	json_t *more = json_pack("{s:I, s:s*}", "ended", (json_int_t)ended, "session", id);

	return events_record_operator(ctl->db, "sessions_ended", user != NULL ? user->id : 0,
	                              user != NULL ? user->username : "", ctl_operator_detail(ctl->ctx, more));
}

int command_session_end(struct ctl *ctl)
{
	const struct user *user = NULL;
	const char *id = ctl->operand;
	enum db_status status;
	size_t ended = 0;

	if (ctl->user != NULL) {
		user = ctl_find_user(ctl, ctl->user);
		if (user == NULL)
			return EXIT_FAILURE;
	}
	if (id != NULL && !session_id_is_well_formed(id))
		return fail("no such session: %s", id);
	status = revoke_sessions(ctl->db, ctl->signals, ctl->ctx, user != NULL ? user->id : 0, id, &ended);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (id != NULL && ended == 0)
		return fail("no such session: %s", id);
	/* Each session has its own event by then; this one says who. */
	status = record_end(ctl, user, id, ended);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (ctl->json)
		return output_json(json_pack("{s:I}", "ended_sessions", (json_int_t)ended));
	return output_line("%s ended.", output_count(ctl->ctx, (int64_t)ended, "session"));
}
