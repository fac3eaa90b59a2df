/* onesessionctl user ... */
#include "base/units.h"
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
#include <string.h>
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

const char *ctl_operator_detail(TALLOC_CTX *ctx, json_t *more)
{
	const struct passwd *operator= getpwuid(getuid());
	json_t *detail = json_pack("{s:s*}", "operator", operator!= NULL ? operator->pw_name : NULL);
	char *text = NULL;
	const char *copy;

	if (detail != NULL && (more == NULL || json_object_update(detail, more) == 0))
		text = json_dumps(detail, 0);
	copy = text != NULL ? talloc_strdup(ctx, text) : NULL;
	free(text);
	json_decref(more);
	json_decref(detail);
	return copy;
}

/* Write the operator's event; `more` is as in ctl_operator_detail(). */
static enum db_status record(struct db *db, const char *event, int64_t user_id, const char *username, json_t *more)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	enum db_status status =
		events_record_operator(db, event, user_id, username, ctl_operator_detail(scratch, more));

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
		status = record(ctl->db, "user_added", id, name, NULL);
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

/* A limit as users.session_limit holds it. */
static json_t *limit_json(int64_t limit)
{
	return limit >= 0 ? json_integer(limit) : json_null();
}

static json_t *user_json(const struct user *user)
{
	return json_pack("{s:I, s:s, s:b, s:b, s:o, s:o, s:o, s:I}", "id", (json_int_t)user->id, "username",
	                 user->username, "is_active", user->is_active, "is_admin", user->is_admin, "session_limit",
	                 limit_json(user->session_limit), "created_at", output_time(user->created_at), "last_login_at",
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

enum account_action { SET_PASSWORD, SET_ACTIVE, SET_LIMIT, DELETE };

struct account_change {
	const char *event;
	const char *done; /* what to tell: "disabled" */
	enum account_action action;
	const char *password_hash;
	bool is_active;
	int64_t session_limit;
	enum ones_reason reason; /* of the sessions that end, ONES_LIVE when they go on */
};

/* The account's row in `users`, also when it is deleted in the end: no login of the account gets in after that. */
static enum db_status change_row(struct db *db, const struct account_change *change, const struct user *user)
{
	switch (change->action) {
	case SET_PASSWORD: return users_set_password(db, user->id, change->password_hash);
	case SET_LIMIT: return users_set_limit(db, user->id, change->session_limit);
	default: return users_set_active(db, user->id, change->is_active);
	}
}

/* One transaction. */
static enum db_status change_once(struct ctl *ctl, const struct account_change *change, const struct user *user,
                                  size_t *ended)
{
	struct db *db = ctl->db;
	enum db_status status = db_begin(db);

	*ended = 0;
	if (status == DB_OK)
		status = change_row(db, change, user);
	if (status == DB_OK && change->reason != ONES_LIVE)
		status = revoke_all_of_account(ctl->db, ctl->signals, ctl->ctx, user, change->reason, ended);
	if (status == DB_OK)
		status = record(db, change->event, user->id, user->username,
		                change->action == SET_LIMIT
		                        ? json_pack("{s:o, s:o}", "limit", limit_json(change->session_limit), "before",
		                                    limit_json(user->session_limit))
		                        : NULL);
	if (status == DB_OK && change->action == DELETE)
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
	                                                          .action = SET_PASSWORD,
	                                                          .password_hash = hash,
	                                                          .reason = ONES_PASSWORD_CHANGED});
}

int command_user_enable(struct ctl *ctl)
{
	return change_account(ctl, &(const struct account_change){.event = "user_enabled",
	                                                          .done = "enabled",
	                                                          .action = SET_ACTIVE,
	                                                          .is_active = true,
	                                                          .reason = ONES_LIVE});
}

int command_user_disable(struct ctl *ctl)
{
	return change_account(ctl, &(const struct account_change){.event = "user_disabled",
	                                                          .done = "disabled",
	                                                          .action = SET_ACTIVE,
	                                                          .reason = ONES_DISABLED});
}

int command_user_delete(struct ctl *ctl)
{
	return change_account(
		ctl, &(const struct account_change){
			     .event = "user_deleted", .done = "deleted", .action = DELETE, .reason = ONES_REVOKED});
}

/* What is too much already goes by the rule, at the next request of each. */
static int set_limit(struct ctl *ctl, int64_t limit)
{
	const struct account_change change = {
		.event = "user_limit_changed",
		.action = SET_LIMIT,
		.session_limit = limit,
		.done = limit > 0    ? talloc_asprintf(ctl->ctx, "may have %s",
	                                               output_count(ctl->ctx, limit, "live session"))
	                : limit == 0 ? "may have any number of live sessions"
	                             : "has the limit of session.max_sessions",
		.reason = ONES_LIVE,
	};

	return change.done != NULL ? change_account(ctl, &change) : fail("out of memory");
}

int command_user_limit(struct ctl *ctl)
{
	int64_t limit = -1;

	if (strcmp(ctl->value, "default") != 0 && (units_parse_number(ctl->value, &limit) != 0 || limit > INT32_MAX))
		return fail("the limit must be a number, 0 for any number, or default, but not %s", ctl->value);
	return set_limit(ctl, limit);
}

int command_user_exempt(struct ctl *ctl)
{
	return set_limit(ctl, 0);
}
