/* onesessionctl user ... */
#include "base/units.h"
#include "ctl/output.h"
#include "ctl/prompt.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "session/events.h"
#include "session/password.h"
#include "session/revoke.h"
#include "session/throttle.h"
#include "session/transaction.h"
#include "session/users.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* As many are shown to people without --first: a table is measured before it is printed, and nobody reads more. */
#define FIRST_USERS 1000

struct user *ctl_find_user(struct ctl *ctl, const char *name)
{
	struct user *user = NULL;
	enum db_status status = users_find_typed(ctl->db, ctl->ctx, name, &user);

	if (status != DB_OK)
		(void)fail_database(ctl, status);
	else if (user == NULL)
		(void)fail("no such account: %s", name);
	return user;
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

struct addition {
	const struct ctl *ctl;
	const char *hash;
	int64_t id;
	bool is_taken; /* the name */
};

static enum db_status add(struct db *db, void *context)
{
	struct addition *addition = context;
	const struct ctl *ctl = addition->ctl;
	enum db_status status = users_add(db, ctl->operand, addition->hash, ctl->is_admin, ctl->limit, &addition->id);

	addition->is_taken = status == DB_OK && addition->id == 0;
	if (status != DB_OK)
		return status;
	return addition->is_taken ? DB_DUPLICATE : record(db, "user_added", addition->id, ctl->operand, NULL);
}

int command_user_add(struct ctl *ctl)
{
	const char *name = ctl->operand;
	const char *problem = users_name_problem(name);
	char hash[PASSWORD_HASH_SIZE];
	struct addition addition = {.ctl = ctl, .hash = hash};
	struct user *user;
	enum db_status status;

	if (problem != NULL)
		return fail("the name %s", problem);
	status = users_find(ctl->db, ctl->ctx, name, &user);
	if (status != DB_OK)
		return fail_database(ctl, status);
	/* Only to spare the operator typing a password in vain: what counts is the answer to the INSERT. */
	if (user != NULL)
		return fail("account exists: %s", user->username);
	if (ask_for_hash(ctl, name, hash) != 0)
		return EXIT_FAILURE;
	status = transaction_run(ctl->db, TRANSACTION_ONCE, add, &addition);
	if (addition.is_taken)
		return fail("account exists: %s", name);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s}", "id", (json_int_t)addition.id, "username", name));
	return output_line("Account %s added.", name);
}

/* ---- Showing ------------------------------------------------------------------------------------------------ */

/* A limit as users.session_limit holds it. */
static json_t *limit_json(int64_t limit)
{
	return limit >= 0 ? json_integer(limit) : json_null();
}

static json_t *user_json(const void *rows, size_t at)
{
	const struct user *user = (const struct user *)rows + at;

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

static int list_for_people(const struct ctl *ctl, const struct user users[], size_t count, bool is_all)
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
	if (table_print(table, stdout) != 0)
		return fail("out of memory");
	if (!is_all)
		return output_line("These are the first %llu; --first N shows more or fewer.",
		                   (unsigned long long)count);
	return EXIT_SUCCESS;
}

int command_user_list(struct ctl *ctl)
{
	/* Programs are not to be given a part of what they believe to be all. */
	int64_t max = ctl->first >= 0 || ctl->json ? ctl->first : FIRST_USERS;
	/* One more, which is not shown. */
	const struct user_filter filter = {.prefix = ctl->prefix, .max = max >= 0 ? max + 1 : -1};
	struct user *users;
	size_t count;
	bool is_all;
	enum db_status status =
		users_list(ctl->db, ctl->ctx, &filter, ctl->settings.session.idle_timeout, &users, &count);

	if (status != DB_OK)
		return fail_database(ctl, status);
	is_all = max < 0 || count <= (size_t)max;
	if (!is_all)
		count = (size_t)max;
	return ctl->json ? output_json_array(count, user_json, users) : list_for_people(ctl, users, count, is_all);
}

/* DB_OK with *user NULL when the account has gone. */
static enum db_status read_user(struct ctl *ctl, int64_t id, struct user **user)
{
	const struct user_filter filter = {.id = id, .max = 1};
	size_t count;
	enum db_status status =
		users_list(ctl->db, ctl->ctx, &filter, ctl->settings.session.idle_timeout, user, &count);

	if (status == DB_OK && count == 0)
		*user = NULL;
	return status;
}

/* Until when logins from browsers that the account does not know are throttled; 0: they are not. */
static int64_t throttled_until(const struct ctl *ctl, const struct user_watch *watch)
{
	int64_t tries = ctl->settings.login.attempts_per_user;

	return tries > 0 && watch->failures >= tries ? watch->failures_until : 0;
}

static json_t *shown_json(const struct ctl *ctl, const struct user *user, const struct user_watch *watch)
{
	json_t *shown = user_json(user, 0);
	json_t *more = json_pack("{s:I, s:o, s:o, s:o, s:I, s:o}", "takeovers_in_window", (json_int_t)watch->takeovers,
	                         "last_takeover_at", output_time(watch->last_takeover_at), "shared_at",
	                         output_time(watch->shared_at), "cooldown_until", output_time(watch->cooldown_until),
	                         "failed_logins", (json_int_t)watch->failures, "throttled_until",
	                         output_time(throttled_until(ctl, watch)));

	if (shown == NULL || more == NULL || json_object_update(shown, more) != 0) {
		json_decref(shown);
		shown = NULL;
	}
	json_decref(more);
	return shown;
}

static void watch_for_people(const struct ctl *ctl, const struct user_watch *watch)
{
	int64_t throttled = throttled_until(ctl, watch);

	if (watch->last_takeover_at > 0)
		(void)output_line("Takeovers:      %lld in sharing.window, the last at %s", (long long)watch->takeovers,
		                  text_time(ctl->ctx, watch->last_takeover_at));
	if (watch->shared_at > 0)
		(void)output_line("Shared:         told at %s", text_time(ctl->ctx, watch->shared_at));
	if (watch->cooldown_until > 0)
		(void)output_line("Cooldown:       until %s", text_time(ctl->ctx, watch->cooldown_until));
	if (watch->failures > 0)
		(void)output_line("Failed logins:  %lld in login.attempts_window%s%s", (long long)watch->failures,
		                  throttled > 0 ? ", throttled until " : "",
		                  throttled > 0 ? text_time(ctl->ctx, throttled) : "");
}

static int show_for_people(const struct ctl *ctl, const struct user *user, const struct user_watch *watch)
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
	(void)output_line("Created:        %s", created_at);
	watch_for_people(ctl, watch);
	return EXIT_SUCCESS;
}

int command_user_show(struct ctl *ctl)
{
	const struct user *found = ctl_find_user(ctl, ctl->operand);
	struct user *user;
	struct user_watch watch;
	enum db_status status;

	if (found == NULL)
		return EXIT_FAILURE;
	status = read_user(ctl, found->id, &user);
	if (status == DB_OK)
		status = users_watch(ctl->db, found->id, ctl->settings.sharing.window,
		                     ctl->settings.login.attempts_window, &watch);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (user == NULL)
		return fail("no such account: %s", ctl->operand);
	return ctl->json ? output_json(shown_json(ctl, user, &watch)) : show_for_people(ctl, user, &watch);
}

/* ---- Changing ----------------------------------------------------------------------------------------------- */

enum account_action { SET_PASSWORD, SET_ACTIVE, DELETE };

struct account_change {
	const char *event;
	const char *done; /* what to tell: "disabled" */
	enum account_action action;
	const char *password_hash;
	bool is_active;
	bool forgets_failures;
	bool erases;             /* the person from the events */
	enum ones_reason reason; /* of the sessions that end, ONES_REASON_LIVE when they go on */
};

struct alteration;

/* One transaction on the account that the operand names: a change, or an alteration. */
struct account_run {
	struct ctl *ctl;
	const struct account_change *change;
	const struct alteration *alteration;
	struct user *user; /* as it was */
	bool is_missing;   /* there is no such account */
	size_t ended;      /* sessions, by a change */
	int64_t before;    /* the former value, of an alteration */
};

/* The account is looked up in each run: a conflict may mean that it has been deleted. */
static enum db_status find_account(struct db *db, struct account_run *run)
{
	enum db_status status = users_find_typed(db, run->ctl->ctx, run->ctl->operand, &run->user);

	run->is_missing = status == DB_OK && run->user == NULL;
	return run->is_missing ? DB_ERROR : status;
}

/* Returns the exit code, and reports what went wrong. */
static int report_run(const struct account_run *run, enum db_status status)
{
	if (run->is_missing)
		return fail("no such account: %s", run->ctl->operand);
	return status == DB_OK ? EXIT_SUCCESS : fail_database(run->ctl, status);
}

/* The account's row in `users` is updated, which holds it: no login of the account gets in after that. */
static enum db_status update_account(struct db *db, const struct account_change *change, const struct user *user)
{
	int64_t failures;

	/* Before a new password makes the account forget its browsers. */
	if (change->forgets_failures) {
		enum db_status status = throttle_forget(db, user->id, &failures);

		if (status != DB_OK)
			return status;
	}
	return change->action == SET_PASSWORD ? users_set_password(db, user->id, change->password_hash)
	                                      : users_set_active(db, user->id, change->is_active);
}

/* The row is updated first, also when it is deleted in the end. */
static enum db_status apply_change(struct db *db, void *context)
{
	struct account_run *run = context;
	const struct account_change *change = run->change;
	const struct user *user;
	enum db_status status = find_account(db, run);

	if (status != DB_OK)
		return status;
	user = run->user;
	run->ended = 0;
	status = update_account(db, change, user);
	if (status == DB_OK && change->reason != ONES_REASON_LIVE)
		status = revoke_all_of_account(db, run->ctl->signals, run->ctl->ctx, user, change->reason, &run->ended);
	if (status == DB_OK && change->erases)
		status = users_erase_events(db, user->id);
	if (status != DB_OK)
		return status;
	status = record(db, change->event, user->id, change->erases ? "" : user->username, NULL);
	return status == DB_OK && change->action == DELETE ? users_delete(db, user->id) : status;
}

static int change_account(struct ctl *ctl, const struct account_change *change)
{
	struct account_run run = {.ctl = ctl, .change = change};
	int result = report_run(&run, transaction_run(ctl->db, TRANSACTION_RETRIED, apply_change, &run));
	const struct user *user = run.user;

	if (result != EXIT_SUCCESS)
		return result;
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s, s:I}", "id", (json_int_t)user->id, "username", user->username,
		                             "ended_sessions", (json_int_t)run.ended));
	if (change->reason == ONES_REASON_LIVE)
		return output_line("Account %s %s.", user->username, change->done);
	return output_line("Account %s %s, %s ended.", user->username, change->done,
	                   output_count(ctl->ctx, (int64_t)run.ended, "session"));
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
	                                                          .forgets_failures = true,
	                                                          .reason = ONES_REASON_PASSWORD_CHANGED});
}

int command_user_enable(struct ctl *ctl)
{
	return change_account(ctl, &(const struct account_change){.event = "user_enabled",
	                                                          .done = "enabled",
	                                                          .action = SET_ACTIVE,
	                                                          .is_active = true,
	                                                          .forgets_failures = true,
	                                                          .reason = ONES_REASON_LIVE});
}

int command_user_disable(struct ctl *ctl)
{
	return change_account(ctl, &(const struct account_change){.event = "user_disabled",
	                                                          .done = "disabled",
	                                                          .action = SET_ACTIVE,
	                                                          .reason = ONES_REASON_DISABLED});
}

int command_user_delete(struct ctl *ctl)
{
	return change_account(ctl, &(const struct account_change){.event = "user_deleted",
	                                                          .done = "deleted",
	                                                          .action = DELETE,
	                                                          .forgets_failures = true,
	                                                          .erases = ctl->erases,
	                                                          .reason = ONES_REASON_REVOKED});
}

/* ---- What ends no session ----------------------------------------------------------------------------------- */

/* A change in one transaction, with its event. */
struct alteration {
	const char *event;
	enum db_status (*apply)(struct db *db, const struct alteration *alteration, int64_t id, int64_t *before);
	json_t *(*detail)(const struct alteration *alteration, const struct user *user, int64_t before);
	int64_t number;   /* what is to be, as apply() takes it */
	const char *name; /* likewise */
};

static enum db_status apply_alteration(struct db *db, void *context)
{
	struct account_run *run = context;
	const struct alteration *alteration = run->alteration;
	const char *name;
	enum db_status status = find_account(db, run);

	if (status != DB_OK)
		return status;
	status = alteration->apply(db, alteration, run->user->id, &run->before);
	if (status != DB_OK)
		return status;
	name = alteration->name != NULL ? alteration->name : run->user->username;
	return record(db, alteration->event, run->user->id, name,
	              alteration->detail(alteration, run->user, run->before));
}

/* *user is the account as it was. Returns the exit code. */
static int alter(struct ctl *ctl, const struct alteration *alteration, struct user **user, int64_t *before)
{
	struct account_run run = {.ctl = ctl, .alteration = alteration};
	enum db_status status = transaction_run(ctl->db, TRANSACTION_RETRIED, apply_alteration, &run);

	*user = run.user;
	*before = run.before;
	if (status == DB_DUPLICATE && alteration->name != NULL)
		return fail("account exists: %s", alteration->name);
	return report_run(&run, status);
}

static enum db_status apply_unlock(struct db *db, const struct alteration *alteration, int64_t id, int64_t *before)
{
	(void)alteration;
	return throttle_forget(db, id, before);
}

static json_t *unlock_detail(const struct alteration *alteration, const struct user *user, int64_t before)
{
	(void)alteration;
	(void)user;
	return json_pack("{s:I}", "failed_logins", (json_int_t)before);
}

int command_user_unlock(struct ctl *ctl)
{
	const struct alteration alteration = {.event = "user_unlocked", .apply = apply_unlock, .detail = unlock_detail};
	struct user *user;
	int64_t failures;
	int result = alter(ctl, &alteration, &user, &failures);

	if (result != EXIT_SUCCESS)
		return result;
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s, s:I}", "id", (json_int_t)user->id, "username", user->username,
		                             "failed_logins", (json_int_t)failures));
	return output_line("Account %s unlocked, %s forgotten.", user->username,
	                   output_count(ctl->ctx, failures, "failed login"));
}

static enum db_status apply_rename(struct db *db, const struct alteration *alteration, int64_t id, int64_t *before)
{
	*before = 0;
	return users_rename(db, id, alteration->name);
}

static json_t *rename_detail(const struct alteration *alteration, const struct user *user, int64_t before)
{
	(void)alteration;
	(void)before;
	return json_pack("{s:s}", "before", user->username);
}

int command_user_rename(struct ctl *ctl)
{
	const struct alteration alteration = {
		.event = "user_renamed", .apply = apply_rename, .detail = rename_detail, .name = ctl->value};
	const char *problem = users_name_problem(ctl->value);
	struct user *user;
	int64_t before;
	int result;

	if (problem != NULL)
		return fail("the name %s", problem);
	result = alter(ctl, &alteration, &user, &before);
	if (result != EXIT_SUCCESS)
		return result;
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s, s:s}", "id", (json_int_t)user->id, "username", ctl->value,
		                             "before", user->username));
	return output_line("Account %s is called %s now.", user->username, ctl->value);
}

static enum db_status apply_admin(struct db *db, const struct alteration *alteration, int64_t id, int64_t *before)
{
	bool was_admin;
	enum db_status status = users_set_admin(db, id, alteration->number != 0, &was_admin);

	*before = was_admin;
	return status;
}

static json_t *admin_detail(const struct alteration *alteration, const struct user *user, int64_t before)
{
	(void)user;
	return json_pack("{s:b, s:b}", "is_admin", alteration->number != 0, "before", before != 0);
}

int command_user_set(struct ctl *ctl)
{
	const struct alteration alteration = {
		.event = "user_admin_changed", .apply = apply_admin, .detail = admin_detail, .number = ctl->is_admin};
	struct user *user;
	int64_t before;
	int result = alter(ctl, &alteration, &user, &before);

	if (result != EXIT_SUCCESS)
		return result;
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s, s:b, s:b}", "id", (json_int_t)user->id, "username",
		                             user->username, "is_admin", ctl->is_admin, "before", before != 0));
	return output_line("Account %s is %s.", user->username,
	                   ctl->is_admin ? "an administrator's" : "no administrator's");
}

/* ---- Limits ------------------------------------------------------------------------------------------------- */

static enum db_status apply_limit(struct db *db, const struct alteration *alteration, int64_t id, int64_t *before)
{
	return users_set_limit(db, id, alteration->number, before);
}

static json_t *limit_detail(const struct alteration *alteration, const struct user *user, int64_t before)
{
	(void)user;
	return json_pack("{s:o, s:o}", "limit", limit_json(alteration->number), "before", limit_json(before));
}

/* "2 live sessions", "any number of live sessions (the default)", on the context; NULL when out of memory. */
static const char *limit_words(const struct ctl *ctl, int64_t limit)
{
	int64_t number = limit >= 0 ? limit : ctl->settings.session.max_sessions;

	return talloc_asprintf(ctl->ctx, "%s%s",
	                       number > 0 ? output_count(ctl->ctx, number, "live session")
	                                  : "any number of live sessions",
	                       limit >= 0 ? "" : " (the default)");
}

static int tell_limit(const struct ctl *ctl, const struct user *user, int64_t before)
{
	int64_t limit = user->session_limit >= 0 ? user->session_limit : ctl->settings.session.max_sessions;
	int64_t surplus = limit > 0 && user->live_sessions > limit ? user->live_sessions - limit : 0;
	const char *now = limit_words(ctl, user->session_limit);
	const char *then = limit_words(ctl, before);

	if (now == NULL || then == NULL)
		return fail("out of memory");
	(void)output_line("Account %s may have %s; before: %s.", user->username, now, then);
	/* That is what the rule does: nothing is to be done about it here. */
	if (surplus > 0)
		(void)output_line(
			"It has %lld now: the oldest %s at its next request or login.", (long long)user->live_sessions,
			surplus == 1 ? "one ends" : talloc_asprintf(ctl->ctx, "%lld end", (long long)surplus));
	return EXIT_SUCCESS;
}

static int set_limit(struct ctl *ctl, int64_t limit)
{
	const struct alteration alteration = {
		.event = "user_limit_changed", .apply = apply_limit, .detail = limit_detail, .number = limit};
	struct user *was, *user = NULL;
	int64_t before;
	int result = alter(ctl, &alteration, &was, &before);
	enum db_status status;

	if (result != EXIT_SUCCESS)
		return result;
	status = read_user(ctl, was->id, &user);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (user == NULL)
		return fail("the account has been deleted meanwhile: %s", ctl->operand);
	user->session_limit = limit;
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s, s:o, s:o, s:I}", "id", (json_int_t)user->id, "username",
		                             user->username, "session_limit", limit_json(limit), "before",
		                             limit_json(before), "live_sessions", (json_int_t)user->live_sessions));
	return tell_limit(ctl, user, before);
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
