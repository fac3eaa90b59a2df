/* onesessionctl plan ... */
#include "base/units.h"
#include "ctl/output.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "ctl/user.h"
#include "session/plans.h"
#include "session/transaction.h"

#include <stdlib.h>
#include <string.h>

static json_t *plan_json(const void *rows, size_t at)
{
	const struct plan *plan = (const struct plan *)rows + at;

	return json_pack("{s:s, s:o, s:o, s:I}", "name", plan->name, "session_limit",
	                 user_limit_json(plan->session_limit), "created_at", output_time(plan->created_at), "accounts",
	                 (json_int_t)plan->accounts);
}

/* "2 live sessions", "any number of live sessions", "as many live sessions as by default (1)". */
static const char *limit_words(const struct ctl *ctl, int64_t limit)
{
	int64_t by_default = ctl->settings.session.max_sessions;

	if (limit > 0)
		return output_count(ctl->ctx, limit, "live session");
	if (limit == 0)
		return "any number of live sessions";
	return talloc_asprintf(ctl->ctx, "%s (the default)",
	                       by_default > 0 ? output_count(ctl->ctx, by_default, "live session")
	                                      : "any number of live sessions");
}

static int list_for_people(const struct ctl *ctl, const struct plan plans[], size_t count)
{
	static const struct table_column columns[] = {
		{.title = "NAME", .shrinks = true},
		{.title = "SESSIONS"},
		{.title = "ACCOUNTS", .right = true},
		{.title = "CREATED"},
	};
	struct table *table;

	if (count == 0)
		return output_line("No plans.");
	table = table_new(ctl->ctx, columns, sizeof columns / sizeof columns[0]);
	if (table == NULL)
		return fail("out of memory");
	for (size_t i = 0; i < count; i++) {
		table_cell(table, plans[i].name);
		table_cell(table, user_limit_text(table, plans[i].session_limit));
		table_cell(table, talloc_asprintf(table, "%lld", (long long)plans[i].accounts));
		table_cell(table, text_time(table, plans[i].created_at));
	}
	return table_print(table, stdout) == 0 ? EXIT_SUCCESS : fail("out of memory");
}

int command_plan_list(struct ctl *ctl)
{
	struct plan *plans;
	size_t count;
	enum db_status status = plans_list(ctl->db, ctl->ctx, &plans, &count);

	if (status != DB_OK)
		return fail_database(ctl, status);
	return ctl->json ? output_json_array(count, plan_json, plans) : list_for_people(ctl, plans, count);
}

/* A change to a plan in one transaction, with its event. */
struct plan_run {
	struct ctl *ctl;
	struct plan *was;      /* NULL: there was none */
	bool is_same;          /* nothing was to be changed */
	int64_t session_limit; /* what it is to be; -2: what it is */
};

#define LIMIT_AS_IT_IS (-2)

static enum db_status set_plan(struct db *db, void *context)
{
	struct plan_run *run = context;
	const char *name = run->ctl->operand;
	enum db_status status = plans_lock(db, run->ctl->ctx, name, &run->was);
	int64_t before = status == DB_OK && run->was != NULL ? run->was->session_limit : -1;

	if (status == DB_OK && run->session_limit == LIMIT_AS_IT_IS)
		run->session_limit = before;
	run->is_same = run->was != NULL && run->session_limit == before;
	if (status == DB_OK && !run->is_same)
		status = plans_set(db, name, run->session_limit);
	if (status != DB_OK || run->is_same)
		return status;
	return user_record(
		db, run->was != NULL ? "plan_changed" : "plan_added", 0, "",
		run->was != NULL
			? json_pack("{s:s, s:o, s:o}", "plan", name, "sessions", user_limit_json(run->session_limit),
	                            "before", user_limit_json(before))
			: json_pack("{s:s, s:o}", "plan", name, "sessions", user_limit_json(run->session_limit)));
}

int command_plan_set(struct ctl *ctl)
{
	struct plan_run run = {.ctl = ctl, .session_limit = LIMIT_AS_IT_IS};
	const char *problem = plans_name_problem(ctl->operand);
	enum db_status status;

	if (problem != NULL)
		return fail("the name %s", problem);
	if (ctl->sessions != NULL && strcmp(ctl->sessions, "default") == 0)
		run.session_limit = -1;
	else if (ctl->sessions != NULL &&
	         (units_parse_number(ctl->sessions, &run.session_limit) != 0 || run.session_limit > INT32_MAX))
		return fail("the limit must be a number, 0 for any number, or default, but not %s", ctl->sessions);
	status = transaction_run(ctl->db, TRANSACTION_RETRIED, set_plan, &run);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (ctl->json)
		return output_json(json_pack("{s:s, s:o, s:b}", "name", ctl->operand, "session_limit",
		                             user_limit_json(run.session_limit), "is_new", (int)(run.was == NULL)));
	if (run.is_same)
		return output_line("Plan %s: it was so already.", ctl->operand);
	return output_line("Plan %s %s: %s for an account that has no limit of its own.", ctl->operand,
	                   run.was == NULL ? "added" : "changed", limit_words(ctl, run.session_limit));
}

static enum db_status delete_plan(struct db *db, void *context)
{
	struct plan_run *run = context;
	const char *name = run->ctl->operand;
	enum db_status status = plans_lock(db, run->ctl->ctx, name, &run->was);

	if (status != DB_OK || run->was == NULL || run->was->accounts > 0)
		return status;
	status = plans_delete(db, name);
	return status == DB_OK ? user_record(db, "plan_deleted", 0, "", json_pack("{s:s}", "plan", name)) : status;
}

int command_plan_delete(struct ctl *ctl)
{
	struct plan_run run = {.ctl = ctl};
	enum db_status status = transaction_run(ctl->db, TRANSACTION_RETRIED, delete_plan, &run);

	if (status != DB_OK)
		return fail_database(ctl, status);
	if (run.was == NULL)
		return fail("no such plan: %s", ctl->operand);
	if (run.was->accounts > 0)
		return fail("the plan %s is that of %s; give them another one first", ctl->operand,
		            output_count(ctl->ctx, run.was->accounts, "account"));
	if (ctl->json)
		return output_json(json_pack("{s:s}", "name", ctl->operand));
	return output_line("Plan %s deleted.", ctl->operand);
}
