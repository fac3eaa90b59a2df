/* /api/users: accounts are listed, shown and deleted; their sessions are ended. */
#include "programs.h"

#include <string.h>

#define NO_ACCOUNT "There is no account of that name."

/* ---- GET -------------------------------------------------------------------------------------------------------- */

static void show(struct ones_request *req)
{
	const char *username = name_in_path(req);
	enum ones_result result = ONES_RESULT_FAILED;
	struct ones_rows *rows = NULL;
	json_t *all;

	if (username != NULL)
		result = ones_sql(ones_db(req), &rows, "SELECT " ACCOUNT_COLUMNS " FROM users WHERE " IS_NAMED,
		                  ONES_VALUES(ONES_TEXT(username)));
	if (result != ONES_RESULT_OK) {
		ones_reply_failure(req, result, NULL);
		return;
	}
	if (ones_rows_count(rows) == 0) {
		reply_not_there(req, NO_ACCOUNT);
		return;
	}
	all = ones_rows_json(rows);
	ones_reply_json(req, 200, json_incref(json_array_get(all, 0)));
	json_decref(all);
}

/* In the order of their numbers: one that is made meanwhile comes at the end. Or the one that a program calls so. */
static void list(struct ones_request *req)
{
	static const char all[] = "SELECT " ACCOUNT_COLUMNS " FROM users WHERE id > $1 ORDER BY id LIMIT $2";
	static const char called[] =
		"SELECT " ACCOUNT_COLUMNS " FROM users WHERE id > $1 AND external_id = $3 ORDER BY id LIMIT $2";
	const char *external_id = ones_query(req, "external_id");
	struct ones_rows *rows;
	enum ones_result result;
	int64_t after, limit;
	size_t count;

	if (!read_number(req, "after", 0, 0, INT64_MAX, &after) ||
	    !read_number(req, "limit", LIST_DEFAULT, 1, LIST_MAX, &limit))
		return;
	if (external_id != NULL)
		result = ones_sql(ones_db(req), &rows, called,
		                  ONES_VALUES(ONES_INT(after), ONES_INT(limit), ONES_TEXT(external_id)));
	else
		result = ones_sql(ones_db(req), &rows, all, ONES_VALUES(ONES_INT(after), ONES_INT(limit)));
	if (result != ONES_RESULT_OK) {
		ones_reply_failure(req, result, NULL);
		return;
	}
	count = ones_rows_count(rows);
	ones_reply_json(
		req, 200,
		json_pack("{s:o, s:o}", "users", ones_rows_json(rows), "next",
	                  count == (size_t)limit ? json_integer(ones_int(rows, count - 1, "id")) : json_null()));
}

/* ---- DELETE ----------------------------------------------------------------------------------------------------- */

struct removal {
	const char *username;
	struct found_account account;
	enum ones_reason reason; /* that sessions are ended for */
	size_t ended;            /* sessions */
};

static enum ones_result remove_account(struct ones_db *db, void *context)
{
	struct removal *removal = context;
	enum ones_result result = hold_account(db, removal->username, &removal->account);

	if (result != ONES_RESULT_OK || removal->account.id == 0 || removal->account.is_admin)
		return result;
	return ones_account_delete(db, removal->account.id);
}

static void remove_user(struct ones_request *req)
{
	struct removal removal = {.username = name_in_path(req)};
	enum ones_result result = ones_transact(ones_db(req), remove_account, &removal);

	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (removal.account.id == 0)
		reply_not_there(req, NO_ACCOUNT);
	else if (removal.account.is_admin)
		ones_reply_problem(req, 403, "forbidden", "An administrator's account is deleted by operators alone.");
	else
		ones_reply_empty(req, 204);
}

static enum ones_result end_sessions(struct ones_db *db, void *context)
{
	struct removal *removal = context;
	enum ones_result result = hold_account(db, removal->username, &removal->account);

	if (result != ONES_RESULT_OK || removal->account.id == 0)
		return result;
	return ones_account_end_sessions(db, removal->account.id, removal->reason, &removal->ended);
}

static void end_all(struct ones_request *req)
{
	struct removal removal = {.username = name_in_path(req)};
	enum ones_result result;

	if (!read_reason(req, &removal.reason))
		return;
	result = ones_transact(ones_db(req), end_sessions, &removal);
	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (removal.account.id == 0)
		reply_not_there(req, NO_ACCOUNT);
	else
		ones_reply_json(req, 200, json_pack("{s:I}", "ended", (json_int_t)removal.ended));
}

void api_users_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/api/users",
	                                     .get = list,
	                                     .needs = ONES_NEEDS_DATABASE,
	                                     .bodies = ONES_BODY_JSON,
	                                     .scope = "users"});
	ones_route(app, &(struct ones_route){.path = "/api/users/:name",
	                                     .get = show,
	                                     .delete = remove_user,
	                                     .needs = ONES_NEEDS_DATABASE,
	                                     .bodies = ONES_BODY_JSON,
	                                     .scope = "users"});
	ones_route(app, &(struct ones_route){.path = "/api/users/:name/sessions",
	                                     .delete = end_all,
	                                     .needs = ONES_NEEDS_DATABASE,
	                                     .bodies = ONES_BODY_JSON,
	                                     .scope = "sessions"});
}
