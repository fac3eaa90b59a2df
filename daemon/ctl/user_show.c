/* onesessionctl user list and show. */
#include "base/email.h"
#include "ctl/output.h"
#include "ctl/table.h"
#include "ctl/terms.h"
#include "ctl/text.h"
#include "ctl/user.h"

#include <stdlib.h>
#include <string.h>

/* The rows of a table without --first: a table is measured as a whole before it is printed. */
#define FIRST_USERS 1000

json_t *user_limit_json(int64_t limit)
{
	return limit >= 0 ? json_integer(limit) : json_null();
}

/* Which limit counts: its own before its plan's before the configuration's. */
static const char *limit_source(const struct user *user)
{
	if (user->session_limit >= 0)
		return "account";
	return user->plan != NULL && !user->has_plan_ended && user->plan_limit >= 0 ? "plan" : "default";
}

/* -1: session.max_sessions. */
static int64_t limit_in_force(const struct user *user)
{
	if (user->session_limit >= 0)
		return user->session_limit;
	return user->plan != NULL && !user->has_plan_ended ? user->plan_limit : -1;
}

static json_t *user_json(const void *rows, size_t at)
{
	const struct user *user = (const struct user *)rows + at;

	return json_pack("{s:I, s:s, s:s?, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:I, s:s?, s:o, s:o, s:s?, s:s, s:o}",
	                 "id", (json_int_t)user->id, "username", user->username, "email", user->email,
	                 "email_verified_at", output_time(user->email_verified_at), "is_active", user->is_active,
	                 "is_admin", user->is_admin, "delete_at", output_time(user->delete_at), "session_limit",
	                 user_limit_json(user->session_limit), "created_at", output_time(user->created_at),
	                 "last_login_at", output_time(user->last_login_at), "live_sessions",
	                 (json_int_t)user->live_sessions, "plan", user->plan, "groups", terms_names(user->groups),
	                 "valid_until", output_time(user->valid_until), "external_id", user->external_id, "limit_from",
	                 limit_source(user), "limit_in_force", user_limit_json(limit_in_force(user)));
}

static const char *yes_or_no(bool yes)
{
	return yes ? "yes" : "no";
}

const char *user_limit_text(TALLOC_CTX *ctx, int64_t limit)
{
	if (limit < 0)
		return "default";
	return limit == 0 ? "exempt" : talloc_asprintf(ctx, "%lld", (long long)limit);
}

/* The limit that counts; "3 (plan)" where it is not the account's own. */
static const char *limit_cell(TALLOC_CTX *ctx, const struct user *user)
{
	const char *text = user_limit_text(ctx, limit_in_force(user));

	return text != NULL && strcmp(limit_source(user), "plan") == 0 ? talloc_asprintf(ctx, "%s (plan)", text) : text;
}

/* "" without one. */
static const char *email_text(TALLOC_CTX *ctx, const struct user *user)
{
	char shown[EMAIL_SHOWN_SIZE];

	if (user->email == NULL)
		return "";
	return talloc_asprintf(ctx, "%s%s", email_show(user->email, shown),
	                       user->email_verified_at > 0 ? "" : " (not verified)");
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
		{.title = "E-MAIL", .shrinks = true},
		{.title = "PLAN", .shrinks = true},
		{.title = "VALID UNTIL"},
		{.title = "GROUPS", .shrinks = true},
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
		table_cell(table, limit_cell(table, &users[i]));
		table_cell(table, talloc_asprintf(table, "%lld", (long long)users[i].live_sessions));
		table_cell(table, text_time(table, users[i].last_login_at));
		table_cell(table, text_time(table, users[i].created_at));
		table_cell(table, email_text(table, &users[i]));
		table_cell(table, users[i].plan != NULL ? users[i].plan : "");
		table_cell(table, users[i].valid_until != 0 ? text_time(table, users[i].valid_until) : "");
		table_cell(table, users[i].groups);
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

enum db_status user_read(struct ctl *ctl, int64_t id, struct user **user)
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
	json_t *more = json_pack(
		"{s:b, s:I, s:o, s:o, s:o, s:I, s:o}", "invited", user_is_invited(user), "takeovers_in_window",
		(json_int_t)watch->takeovers, "last_takeover_at", output_time(watch->last_takeover_at), "shared_at",
		output_time(watch->shared_at), "cooldown_until", output_time(watch->cooldown_until), "failed_logins",
		(json_int_t)watch->failures, "throttled_until", output_time(throttled_until(ctl, watch)));

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
		(void)output_line("Shared:         reported at %s", text_time(ctl->ctx, watch->shared_at));
	if (watch->cooldown_until > 0)
		(void)output_line("Cooldown:       until %s", text_time(ctl->ctx, watch->cooldown_until));
	if (watch->failures > 0)
		(void)output_line("Failed logins:  %lld in login.attempts_window%s%s", (long long)watch->failures,
		                  throttled > 0 ? ", throttled until " : "",
		                  throttled > 0 ? text_time(ctl->ctx, throttled) : "");
}

/* "Plan: gold, until 2026-12-31 00:00:00, which is past" */
static void plan_for_people(const struct ctl *ctl, const struct user *user)
{
	const char *until = user->valid_until != 0 ? text_time(ctl->ctx, user->valid_until) : NULL;

	if (user->plan != NULL)
		(void)output_line("Plan:           %s%s%s%s", user->plan, until != NULL ? ", until " : "",
		                  until != NULL ? until : "", user->has_plan_ended ? ", which is past" : "");
	else if (until != NULL)
		(void)output_line("Valid until:    %s, without a plan", until);
	if (user->groups[0] != '\0')
		(void)output_line("Groups:         %s", user->groups);
	if (user->external_id != NULL)
		(void)output_line("External id:    %s", user->external_id);
}

/* Which one counts, and why. */
static void limit_for_people(const struct ctl *ctl, const struct user *user)
{
	int64_t limit = limit_in_force(user);

	if (limit < 0)
		(void)output_line("Session limit:  default (%lld)%s", (long long)ctl->settings.session.max_sessions,
		                  user->plan != NULL && user->plan_limit >= 0 ? ", for its plan has ended" : "");
	else if (user->session_limit < 0)
		(void)output_line("Session limit:  %s, by its plan", user_limit_text(ctl->ctx, limit));
	else
		(void)output_line("Session limit:  %s%s", user_limit_text(ctl->ctx, limit),
		                  user->plan != NULL ? ", its own, which counts before its plan's" : "");
}

static int show_for_people(const struct ctl *ctl, const struct user *user, const struct user_watch *watch)
{
	const char *created_at = text_time(ctl->ctx, user->created_at);
	const char *last_login_at = text_time(ctl->ctx, user->last_login_at);

	if (created_at == NULL || last_login_at == NULL)
		return fail("out of memory");
	(void)output_line("Username:       %s", user->username);
	(void)output_line("ID:             %lld", (long long)user->id);
	if (user->email != NULL)
		(void)output_line("E-mail:         %s", email_text(ctl->ctx, user));
	if (!ctl->settings.login.enabled)
		(void)output_line("Password:       not asked for: people sign in at the application (login.enabled)");
	else if (strcmp(user->password, USERS_NO_PASSWORD) == 0)
		(void)output_line("Password:       none yet%s",
		                  user_is_invited(user) ? ": an invitation lets its person choose one (user invite)"
		                                        : "");
	if (user->delete_at > 0)
		(void)output_line("Deleted:        for good at %s", text_time(ctl->ctx, user->delete_at));
	(void)output_line("Active:         %s", yes_or_no(user->is_active));
	(void)output_line("Administrator:  %s", yes_or_no(user->is_admin));
	plan_for_people(ctl, user);
	limit_for_people(ctl, user);
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
	status = user_read(ctl, found->id, &user);
	if (status == DB_OK)
		status = users_watch(ctl->db, found->id, ctl->settings.sharing.window,
		                     ctl->settings.login.attempts_window, &watch);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (user == NULL)
		return fail("no such account: %s", ctl->operand);
	return ctl->json ? output_json(shown_json(ctl, user, &watch)) : show_for_people(ctl, user, &watch);
}
