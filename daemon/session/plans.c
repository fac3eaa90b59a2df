#include "session/plans.h"

#include "session/sql.h"

#include <string.h>

/* As the table has it. */
#define NAME_MAX_LENGTH 63

const char *plans_name_problem(const char *name)
{
	static const char alphanumeric[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	static const char others[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";

	if (name[0] == '\0')
		return "is empty";
	if (strlen(name) > NAME_MAX_LENGTH)
		return "is longer than 63 characters";
	if (strchr(alphanumeric, name[0]) == NULL)
		return "does not begin with a letter or a digit";
	return name[strspn(name, others)] != '\0' ? "has other characters than letters, digits and . _ : -" : NULL;
}

static void read_plan(const struct db_result *rows, size_t row, void *item)
{
	*(struct plan *)item = (struct plan){
		.name = db_text(rows, row, PLAN_NAME),
		.session_limit = db_int(rows, row, PLAN_SESSION_LIMIT),
		.created_at = db_time(rows, row, PLAN_CREATED_AT),
		.accounts = db_int(rows, row, PLAN_ACCOUNTS),
	};
}

enum db_status plans_list(struct db *db, TALLOC_CTX *ctx, struct plan **plans, size_t *count)
{
	enum db_status status;

	*plans = db_query_list(db, ctx, &sql_list_plans, NULL, 0, sizeof **plans, read_plan, count, &status);
	return status;
}

enum db_status plans_lock(struct db *db, TALLOC_CTX *ctx, const char *name, struct plan **plan)
{
	const struct db_value values[] = {DB_TEXT(name)};
	struct db_result *rows = NULL;
	enum db_status status = db_query(db, ctx, &sql_lock_plan, values, 1, NULL);

	*plan = NULL;
	/* A statement of its own, which sees what those have committed that it has waited for. */
	if (status == DB_OK)
		status = db_query(db, ctx, &sql_find_plan, values, 1, &rows);
	if (status != DB_OK || db_rows(rows) == 0)
		return status;
	*plan = talloc(ctx, struct plan);
	if (*plan == NULL)
		return db_out_of_memory(db);
	read_plan(rows, 0, *plan);
	return DB_OK;
}

enum db_status plans_set(struct db *db, const char *name, int64_t session_limit)
{
	const struct db_value values[] = {DB_TEXT(name), session_limit >= 0 ? DB_INT(session_limit) : DB_NULL};

	return db_query(db, NULL, &sql_set_plan, values, 2, NULL);
}

enum db_status plans_delete(struct db *db, const char *name)
{
	const struct db_value values[] = {DB_TEXT(name)};

	return db_query(db, NULL, &sql_delete_plan, values, 1, NULL);
}
