/* onesessionctl user ... */
#include "ctl/output.h"
#include "ctl/prompt.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "session/events.h"
#include "session/password.h"
#include "session/revoke.h"
#include "session/users.h"

#include <pwd.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

/* A transaction that others were in the way of is run again; more often than this is not chance. */
#define ATTEMPTS 5

struct user *ctl_find_user(struct ctl *ctl, const char *name)
{
	struct user *user = NULL;
	enum db_status status = users_find(ctl->db, ctl->ctx, name, &user);

	if (status != DB_OK)
		(void)fail_database(ctl, status);
	else if (user == NULL)
		(void)fail("no such account: %s", name);
	return user;
}

const char *ctl_operator_detail(TALLOC_CTX *ctx, const char *from)
{
	const struct passwd *operator= getpwuid(getuid());
	json_t *detail =
		json_pack("{s:s*, s:s*}", "operator", operator!= NULL ? operator->pw_name : NULL, "from", from);
	char *text = detail != NULL ? json_dumps(detail, 0) : NULL;
	const char *copy = text != NULL ? talloc_strdup(ctx, text) : NULL;

	free(text);
	json_decref(detail);
	return copy;
}

static enum db_status record(struct db *db, const char *event, int64_t user_id, const char *username)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	enum db_status status =
		events_record_operator(db, event, user_id, username, ctl_operator_detail(scratch, NULL));

	talloc_free(scratch);
	return status;
}

/* ---- Adding ------------------------------------------------------------------------------------------------- */

/* The hash of a password that is asked for. Returns 0, or -1 when that has been told. */
static int ask_for_hash(const struct ctl *ctl, const char *username, char hash[PASSWORD_HASH_SIZE])
{
	const struct password_cost cost = {.memory = ctl->settings.login.memory, .passes = ctl->settings.login.passes};
	char password[PASSWORD_MAX + 1];
	int result = prompt_new_password(username, password);

	if (result == 0) {
		result = password_hash(password, &cost, hash);
		if (result != 0)
			(void)fail("there is not enough memory for login.memory");
	}
	sodium_memzero(password, sizeof password);
	return result;
}

int command_user_add(struct ctl *ctl)
{
	const char *name = ctl->operand;
	const char *problem = users_name_problem(name);
	char hash[PASSWORD_HASH_SIZE];
	struct user *user;
	enum db_status status;
	int64_t id = 0;

	if (problem != NULL)
		return fail("the name %s", problem);
	status = users_find(ctl->db, ctl->ctx, name, &user);
	if (status != DB_OK)
		return fail_database(ctl, status);
	/* Only so that nobody types a password in vain: what counts is the answer to the INSERT. */
	if (user != NULL)
		return fail("account exists: %s", user->username);
	if (ask_for_hash(ctl, name, hash) != 0)
		return EXIT_FAILURE;
	status = db_begin(ctl->db);
	if (status == DB_OK)
		status = users_add(ctl->db, name, hash, ctl->is_admin, ctl->limit, &id);
	if (status == DB_OK)
		status = record(ctl->db, "user_added", id, name);
	if (status == DB_OK)
		status = db_commit(ctl->db);
	if (status != DB_OK)
		db_rollback(ctl->db);
	if (status == DB_DUPLICATE)
		return fail("account exists: %s", name);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s}", "id", (json_int_t)id, "username", name));
	return output_line("Account %s added.", name);
}

/* ---- Showing ------------------------------------------------------------------------------------------------ */

static json_t *user_json(const struct user *user)
{
	json_t *limit = user->session_limit >= 0 ? json_integer(user->session_limit) : json_null();

	return json_pack("{s:I, s:s, s:b, s:b, s:o, s:o, s:o, s:I}", "id", (json_int_t)user->id, "username",
	                 user->username, "is_active", user->is_active, "is_admin", user->is_admin, "session_limit",
	                 limit, "created_at", output_time(user->created_at), "last_login_at",
	                 output_time(user->last_login_at), "live_sessions", (json_int_t)user->live_sessions);
}

static const char *yes_or_no(bool yes)
{
	return yes ? "yes" : "no";
}

static const char *limit_text(TALLOC_CTX *ctx, int64_t limit)
{
	if (limit < 0)
		return "default";
	return limit == 0 ? "exempt" : talloc_asprintf(ctx, "%lld", (long long)limit);
}

static int list_for_people(const struct ctl *ctl, const struct user users[], size_t count)
{
	static const struct table_column columns[] = {
		{.title = "ID", .right = true},
		{.title = "USERNAME", .shrinks = true},
		{.title = "ACTIVE"},
		{.title = "ADMIN"},
		{.title = "LIMIT"},
		{.title = "LIVE", .right = true},
		{.title = "LAST LOGIN"},
		{.title = "CREATED"},
	};
	struct table *table;

	if (count == 0)
		return output_line("No accounts.");
	table = table_new(ctl->ctx, columns, sizeof columns / sizeof columns[0]);
	if (table == NULL)
		return fail("out of memory");
	for (size_t i = 0; i < count; i++) {
		table_cell(table, talloc_asprintf(table, "%lld", (long long)users[i].id));
		table_cell(table, users[i].username);
		table_cell(table, yes_or_no(users[i].is_active));
		table_cell(table, yes_or_no(users[i].is_admin));
		table_cell(table, limit_text(table, users[i].session_limit));
		table_cell(table, talloc_asprintf(table, "%lld", (long long)users[i].live_sessions));
		table_cell(table, text_time(table, users[i].last_login_at));
		table_cell(table, text_time(table, users[i].created_at));
	}
	return table_print(table, stdout) == 0 ? EXIT_SUCCESS : fail("out of memory");
}

int command_user_list(struct ctl *ctl)
{
	struct user *users;
	size_t count;
	enum db_status status = users_list(ctl->db, ctl->ctx, 0, ctl->settings.session.idle_timeout, &users, &count);
	json_t *list;

	if (status != DB_OK)
		return fail_database(ctl, status);
	if (!ctl->json)
		return list_for_people(ctl, users, count);
	list = json_array();
	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(list, user_json(&users[i])) != 0) {
			json_decref(list);
			return fail("out of memory");
		}
	}
	return output_json(list);
}

static int show_for_people(const struct ctl *ctl, const struct user *user)
{
	const char *created_at = text_time(ctl->ctx, user->created_at);
	const char *last_login_at = text_time(ctl->ctx, user->last_login_at);
	const char *limit = limit_text(ctl->ctx, user->session_limit);

	if (created_at == NULL || last_login_at == NULL || limit == NULL)
		return fail("out of memory");
	(void)output_line("Username:       %s", user->username);
	(void)output_line("ID:             %lld", (long long)user->id);
	(void)output_line("Active:         %s", yes_or_no(user->is_active));
	(void)output_line("Administrator:  %s", yes_or_no(user->is_admin));
	if (user->session_limit < 0)
		(void)output_line("Session limit:  default (%lld)", (long long)ctl->settings.session.max_sessions);
	else
		(void)output_line("Session limit:  %s", limit);
	(void)output_line("Live sessions:  %lld", (long long)user->live_sessions);
	(void)output_line("Last login:     %s", last_login_at);
	return output_line("Created:        %s", created_at);
}

int command_user_show(struct ctl *ctl)
{
	const struct user *found = ctl_find_user(ctl, ctl->operand);
	struct user *user;
	size_t count;
	enum db_status status;

	if (found == NULL)
		return EXIT_FAILURE;
	status = users_list(ctl->db, ctl->ctx, found->id, ctl->settings.session.idle_timeout, &user, &count);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (count == 0)
		return fail("no such account: %s", ctl->operand);
	return ctl->json ? output_json(user_json(user)) : show_for_people(ctl, user);
}

/* ---- Changing ----------------------------------------------------------------------------------------------- */

struct account_change {
	const char *event;
	const char *done;          /* what to tell: "disabled" */
	const char *password_hash; /* the new one, or NULL: is_active is set then */
	bool is_active;
	bool deletes;
	enum ones_reason reason; /* of the sessions that end, ONES_LIVE when they go on */
};

/*
 * One transaction. The account's row in `users` is updated first, also when it is deleted in the end: no login of the
 * account gets in after that.
 */
static enum db_status change_once(struct ctl *ctl, const struct account_change *change, const struct user *user,
                                  size_t *ended)
{
	struct db *db = ctl->db;
	enum db_status status = db_begin(db);

	*ended = 0;
	if (status == DB_OK)
		status = change->password_hash != NULL ? users_set_password(db, user->id, change->password_hash)
		                                       : users_set_active(db, user->id, change->is_active);
	if (status == DB_OK && change->reason != ONES_LIVE)
		status = revoke_all_of_account(ctl->db, ctl->signals, ctl->ctx, user, change->reason, ended);
	if (status == DB_OK)
		status = record(db, change->event, user->id, user->username);
	if (status == DB_OK && change->deletes)
		status = users_delete(db, user->id);
	if (status == DB_OK)
		status = db_commit(db);
	if (status != DB_OK)
		db_rollback(db);
	return status;
}

static int change_account(struct ctl *ctl, const struct account_change *change)
{
	enum db_status status = DB_CONFLICT;
	struct user *user = NULL;
	size_t ended = 0;

	/* The account is looked for each time: a conflict may mean that it has gone. */
	for (int attempt = 0; attempt < ATTEMPTS && status == DB_CONFLICT; attempt++) {
		user = ctl_find_user(ctl, ctl->operand);
		if (user == NULL)
			return EXIT_FAILURE;
		status = change_once(ctl, change, user, &ended);
	}
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s, s:I}", "id", (json_int_t)user->id, "username", user->username,
		                             "ended_sessions", (json_int_t)ended));
	if (change->reason == ONES_LIVE)
		return output_line("Account %s %s.", user->username, change->done);
	return output_line("Account %s %s, %s ended.", user->username, change->done,
	                   output_count(ctl->ctx, (int64_t)ended, "session"));
}

int command_user_passwd(struct ctl *ctl)
{
	const struct user *user = ctl_find_user(ctl, ctl->operand);
	char hash[PASSWORD_HASH_SIZE];

	if (user == NULL || ask_for_hash(ctl, user->username, hash) != 0)
		return EXIT_FAILURE;
	return change_account(ctl, &(const struct account_change){.event = "user_password_changed",
	                                                          .done = "has a new password",
	                                                          .password_hash = hash,
	                                                          .reason = ONES_PASSWORD_CHANGED});
}

int command_user_enable(struct ctl *ctl)
{
	return change_account(
		ctl, &(const struct account_change){
			     .event = "user_enabled", .done = "enabled", .is_active = true, .reason = ONES_LIVE});
}

int command_user_disable(struct ctl *ctl)
{
	return change_account(ctl, &(const struct account_change){
					   .event = "user_disabled", .done = "disabled", .reason = ONES_DISABLED});
}

int command_user_delete(struct ctl *ctl)
{
	return change_account(
		ctl, &(const struct account_change){
			     .event = "user_deleted", .done = "deleted", .deletes = true, .reason = ONES_REVOKED});
}
