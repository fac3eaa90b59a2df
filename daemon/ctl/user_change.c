/* onesessionctl user passwd, enable, disable, delete, unlock, rename, limit and exempt. */
#include "base/units.h"
#include "ctl/output.h"
#include "ctl/user.h"
#include "session/erasure.h"
#include "session/mail_tokens.h"
#include "session/password.h"
#include "session/revoke.h"
#include "session/throttle.h"
#include "session/transaction.h"

#include <stdlib.h>
#include <string.h>

/* ---- What can end sessions ---------------------------------------------------------------------------------- */

enum account_action { SET_PASSWORD, SET_ACTIVE, DELETE };

struct account_change {
	const char *event;
	const char *done; /* what to tell: "disabled" */
	enum account_action action;
	const char *password_hash;
	bool is_active;
	bool forgets_failures;
	bool erases;             /* with all that is kept about its person */
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
	bool is_same;      /* an alteration that alters nothing */
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

/* At once, as if its person had asked for it long ago. */
static enum db_status erase(struct db *db, struct account_run *run)
{
	struct account_tx tx = {.ctx = run->ctl->ctx, .db = db, .signals = run->ctl->signals};
	int64_t at;
	enum db_status status = users_set_deletion(db, run->user->id, 0, &at);

	return status == DB_OK ? erasure_run(&tx, run->user, ctl_operator_detail(run->ctl->ctx, NULL), &run->ended)
	                       : status;
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
	if (status == DB_OK && change->erases)
		return erase(db, run);
	/* What somebody else may have asked for, such as another address, does not outlive that. */
	if (status == DB_OK && change->reason != ONES_REASON_LIVE)
		status = change->action == SET_PASSWORD ? mail_tokens_withdraw(db, user->id)
		                                        : mail_tokens_drop(db, user->id, MAIL_PURPOSE_EMAIL);
	if (status == DB_OK && change->reason != ONES_REASON_LIVE)
		status = revoke_all_of_account(db, run->ctl->signals, run->ctl->ctx, user, change->reason, &run->ended);
	if (status != DB_OK)
		return status;
	status = user_record(db, change->event, user->id, user->username, NULL);
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

	if (user == NULL || user_ask_for_hash(ctl, user->username, user->email, hash) != 0)
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
	bool sets_number; /* to `number`, when it is another one */
	int64_t number;   /* what is to be, as apply() takes it */
	const char *name; /* likewise */
};

static bool is_so_already(const struct account_run *run)
{
	const struct alteration *alteration = run->alteration;

	return alteration->name != NULL ? strcmp(alteration->name, run->user->username) == 0
	                                : alteration->sets_number && alteration->number == run->before;
}

static enum db_status apply_alteration(struct db *db, void *context)
{
	struct account_run *run = context;
	const struct alteration *alteration = run->alteration;
	const char *name;
	enum db_status status = find_account(db, run);

	if (status != DB_OK)
		return status;
	status = alteration->apply(db, alteration, run->user->id, &run->before);
	run->is_same = status == DB_OK && is_so_already(run);
	if (status != DB_OK || run->is_same)
		return status;
	name = alteration->name != NULL ? alteration->name : run->user->username;
	return user_record(db, alteration->event, run->user->id, name,
	                   alteration->detail(alteration, run->user, run->before));
}

/* Returns the exit code. */
static int alter(struct account_run *run)
{
	enum db_status status = transaction_run(run->ctl->db, TRANSACTION_RETRIED, apply_alteration, run);

	if (status == DB_DUPLICATE && run->alteration->name != NULL)
		return fail("account exists: %s", run->alteration->name);
	return report_run(run, status);
}

static int tell_same(const struct account_run *run)
{
	return output_line("Account %s: it was so already.", run->user->username);
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
	struct account_run run = {.ctl = ctl, .alteration = &alteration};
	int result = alter(&run);

	if (result != EXIT_SUCCESS)
		return result;
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s, s:I}", "id", (json_int_t)run.user->id, "username",
		                             run.user->username, "failed_logins", (json_int_t)run.before));
	return output_line("Account %s unlocked, %s forgotten.", run.user->username,
	                   output_count(ctl->ctx, run.before, "failed login"));
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
	struct account_run run = {.ctl = ctl, .alteration = &alteration};
	const char *problem = users_new_name_problem(ctl->value);
	int result;

	if (problem != NULL)
		return fail("the name %s", problem);
	result = alter(&run);
	if (result != EXIT_SUCCESS)
		return result;
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s, s:s}", "id", (json_int_t)run.user->id, "username", ctl->value,
		                             "before", run.user->username));
	return run.is_same ? tell_same(&run) : output_line("Account %s renamed to %s.", run.user->username, ctl->value);
}

/* ---- Limits ------------------------------------------------------------------------------------------------- */

static enum db_status apply_limit(struct db *db, const struct alteration *alteration, int64_t id, int64_t *before)
{
	return users_set_limit(db, id, alteration->number, before);
}

static json_t *limit_detail(const struct alteration *alteration, const struct user *user, int64_t before)
{
	(void)user;
	return json_pack("{s:o, s:o}", "limit", user_limit_json(alteration->number), "before", user_limit_json(before));
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
	const struct alteration alteration = {.event = "user_limit_changed",
	                                      .apply = apply_limit,
	                                      .detail = limit_detail,
	                                      .sets_number = true,
	                                      .number = limit};
	struct account_run run = {.ctl = ctl, .alteration = &alteration};
	struct user *user = NULL;
	int result = alter(&run);
	enum db_status status;

	if (result != EXIT_SUCCESS)
		return result;
	status = user_read(ctl, run.user->id, &user);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (user == NULL)
		return fail("the account has been deleted meanwhile: %s", ctl->operand);
	user->session_limit = limit;
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s, s:o, s:o, s:I}", "id", (json_int_t)user->id, "username",
		                             user->username, "session_limit", user_limit_json(limit), "before",
		                             user_limit_json(run.before), "live_sessions",
		                             (json_int_t)user->live_sessions));
	return run.is_same ? tell_same(&run) : tell_limit(ctl, user, run.before);
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
