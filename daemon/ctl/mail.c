/* onesessionctl mail ... */
#include "base/units.h"
#include "ctl/output.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "session/mails.h"
#include "session/users.h"

#include <stdlib.h>
#include <string.h>

/* As many are shown to people without --last. */
#define LAST_MAILS 100

static const char *const states[] = {"queued", "sent", "limited", "dead", NULL};

/* ---- list, show ---------------------------------------------------------------------------------------------- */

static json_t *data_json(const struct mail_shown *mail)
{
	json_t *data = json_loads(mail->data, JSON_DECODE_ANY, NULL);

	return data != NULL ? data : json_null();
}

static json_t *mail_json(const void *rows, size_t at)
{
	const struct mail_shown *mail = (const struct mail_shown *)rows + at;

	return json_pack("{s:I, s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:b, s:s, s:s, s:o}", "id",
	                 (json_int_t)mail->id, "state", mail->state, "module", mail->module, "kind", mail->kind,
	                 "user_id", mail->user_id != 0 ? json_integer(mail->user_id) : json_null(), "username",
	                 mail->username, "address", mail->address, "language", mail->language, "purpose", mail->purpose,
	                 "attempts", (json_int_t)mail->attempts, "created_at", output_time(mail->created_at), "next_at",
	                 mail->ended_at == 0 ? output_time(mail->next_at) : json_null(), "ended_at",
	                 output_time(mail->ended_at), "is_being_sent", (int)mail->is_being_sent, "problem",
	                 mail->problem, "message_id", mail->message_id, "values", data_json(mail));
}

static const char *state_text(const struct mail_shown *mail)
{
	return mail->is_being_sent ? "sending" : mail->state;
}

static const char *kind_text(TALLOC_CTX *ctx, const struct mail_shown *mail)
{
	return strcmp(mail->module, "session") == 0 ? mail->kind
	                                            : talloc_asprintf(ctx, "%s.%s", mail->module, mail->kind);
}

static int list_for_people(const struct ctl *ctl, const struct mail_shown rows[], size_t count, bool is_all)
{
	static const struct table_column columns[] = {
		{.title = "ID", .right = true},
		{.title = "STATE"},
		{.title = "KIND", .shrinks = true},
		{.title = "USERNAME", .shrinks = true},
		{.title = "ADDRESS", .shrinks = true, .least = 12},
		{.title = "WRITTEN"},
		{.title = "TRIES", .right = true},
		{.title = "PROBLEM", .shrinks = true, .least = 12},
	};
	struct table *table;

	if (count == 0)
		return output_line("No mails.");
	table = table_new(ctl->ctx, columns, sizeof columns / sizeof columns[0]);
	if (table == NULL)
		return fail("out of memory");
	for (size_t i = 0; i < count; i++) {
		table_cell(table, talloc_asprintf(table, "%lld", (long long)rows[i].id));
		table_cell(table, state_text(&rows[i]));
		table_cell(table, kind_text(table, &rows[i]));
		table_cell(table, rows[i].username);
		table_cell(table, rows[i].address);
		table_cell(table, text_time(table, rows[i].created_at));
		table_cell(table, talloc_asprintf(table, "%lld", (long long)rows[i].attempts));
		table_cell(table, rows[i].problem);
	}
	if (table_print(table, stdout) != 0)
		return fail("out of memory");
	return is_all ? EXIT_SUCCESS
	              : output_line("These are the newest %llu; --last N shows more or fewer.",
	                            (unsigned long long)count);
}

static bool is_state(const char *text)
{
	for (size_t i = 0; states[i] != NULL; i++) {
		if (strcmp(states[i], text) == 0)
			return true;
	}
	return false;
}

int command_mail_list(struct ctl *ctl)
{
	/* Programs are not to be given a part of what they believe to be all. */
	int64_t max = ctl->last >= 0 || ctl->json ? ctl->last : LAST_MAILS;
	struct mail_filter filter = {.state = ctl->state, .max = max >= 0 ? max + 1 : -1};
	struct mail_shown *rows;
	enum db_status status;
	size_t count;
	bool is_all;

	if (ctl->state != NULL && !is_state(ctl->state))
		return fail("no such state: %s; there are queued, sent, limited and dead", ctl->state);
	if (ctl->user != NULL) {
		const struct user *user = ctl_find_user(ctl, ctl->user);

		if (user == NULL)
			return EXIT_FAILURE;
		filter.user_id = user->id;
	}
	status = mails_list(ctl->db, ctl->ctx, &filter, &rows, &count);
	if (status != DB_OK)
		return fail_database(ctl, status);
	is_all = max < 0 || count <= (size_t)max;
	if (!is_all)
		count = (size_t)max;
	return ctl->json ? output_json_array(count, mail_json, rows) : list_for_people(ctl, rows, count, is_all);
}

/* The number that was given. False, and it was said, when it is none. */
static bool take_id(const struct ctl *ctl, int64_t *id)
{
	if (units_parse_number(ctl->operand, id) == 0 && *id > 0)
		return true;
	(void)fail("no such mail: %s", ctl->operand);
	return false;
}

static const char *when_text(const struct ctl *ctl, int64_t us)
{
	const char *text = text_time_exact(ctl->ctx, us);

	return text != NULL ? text : "?";
}

static int show_for_people(const struct ctl *ctl, const struct mail_shown *mail)
{
	(void)output_line("Mail %lld: %s, %s of the module %s", (long long)mail->id, state_text(mail), mail->kind,
	                  mail->module);
	if (mail->username[0] != '\0')
		(void)output_line("Account: %s", mail->username);
	(void)output_line("Address: %s",
	                  mail->address[0] != '\0' ? mail->address : "that of the account when it is sent");
	(void)output_line("Message-ID: %s", mail->message_id);
	if (mail->language[0] != '\0')
		(void)output_line("Language: %s", mail->language);
	if (mail->purpose[0] != '\0')
		(void)output_line("Its link and code are for: %s", mail->purpose);
	(void)output_line("Written: %s", when_text(ctl, mail->created_at));
	(void)output_line("Tries: %lld", (long long)mail->attempts);
	if (mail->ended_at != 0)
		(void)output_line("%s: %s", strcmp(mail->state, "sent") == 0 ? "Sent" : "Ended",
		                  when_text(ctl, mail->ended_at));
	else
		(void)output_line("Next try: %s", when_text(ctl, mail->next_at));
	if (mail->problem[0] != '\0')
		(void)output_line("Problem: %s", mail->problem);
	return strcmp(mail->data, "null") == 0 ? EXIT_SUCCESS : output_line("Values: %s", mail->data);
}

int command_mail_show(struct ctl *ctl)
{
	struct mail_filter filter = {.max = 1};
	struct mail_shown *rows;
	enum db_status status;
	size_t count;

	if (!take_id(ctl, &filter.id))
		return EXIT_FAILURE;
	status = mails_list(ctl->db, ctl->ctx, &filter, &rows, &count);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (count == 0)
		return fail("no such mail: %s", ctl->operand);
	return ctl->json ? output_json(mail_json(rows, 0)) : show_for_people(ctl, rows);
}

/* ---- retry, drop --------------------------------------------------------------------------------------------- */

int command_mail_retry(struct ctl *ctl)
{
	int64_t id = 0;
	enum db_status status;
	size_t count;

	if (ctl->operand != NULL && !take_id(ctl, &id))
		return EXIT_FAILURE;
	status = mails_retry(ctl->db, id, &count);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (id != 0 && count == 0)
		return fail("no mail that could be sent again: %s", ctl->operand);
	if (ctl->json)
		return output_json(json_pack("{s:I}", "queued", (json_int_t)count));
	return output_line("%s will be sent again.", output_count(ctl->ctx, (int64_t)count, "mail"));
}

int command_mail_drop(struct ctl *ctl)
{
	enum db_status status;
	bool was_there;
	int64_t id;

	if (!take_id(ctl, &id))
		return EXIT_FAILURE;
	status = mails_drop(ctl->db, id, &was_there);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (!was_there)
		return fail("no such mail, or it is being sent at this moment: %s", ctl->operand);
	if (ctl->json)
		return output_json(json_pack("{s:I}", "dropped", (json_int_t)id));
	return output_line("Mail %lld is gone.", (long long)id);
}
