/* What the routes of the API share: answers, what was sent, accounts by name. */
#include "programs.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void reply_bad_request(struct ones_request *req, const char *detail)
{
	ones_reply_problem(req, 400, "bad_request", detail);
}

void reply_not_there(struct ones_request *req, const char *detail)
{
	ones_reply_problem(req, 404, "not_found", detail);
}

const json_t *body_of(struct ones_request *req)
{
	const json_t *body = ones_json(req);

	if (body == NULL)
		reply_bad_request(req, "A JSON object is needed (application/json).");
	return body;
}

static bool is_number(const char *text, int64_t min, int64_t max, int64_t *number)
{
	intmax_t value;

	if (*text == '\0' || text[strspn(text, "0123456789")] != '\0')
		return false;
	errno = 0;
	value = strtoimax(text, NULL, 10);
	if (errno != 0 || value < min || value > max)
		return false;
	*number = value;
	return true;
}

bool read_number(struct ones_request *req, const char *name, int64_t fallback, int64_t min, int64_t max,
                 int64_t *number)
{
	const char *text = ones_query(req, name);

	*number = fallback;
	if (text == NULL || is_number(text, min, max, number))
		return true;
	reply_bad_request(req, strcmp(name, "limit") == 0 ? "limit is a number from 1 to 1000."
	                                                  : "after is a number that an earlier answer had as next.");
	return false;
}

bool read_reason(struct ones_request *req, enum ones_reason *reason)
{
	static const struct {
		const char *code;
		enum ones_reason reason;
	} known[] = {
		{"revoked", ONES_REASON_REVOKED},
		{"logged_out", ONES_REASON_LOGGED_OUT},
		{"password_changed", ONES_REASON_PASSWORD_CHANGED},
	};
	const char *code = ones_query(req, "reason");

	*reason = ONES_REASON_REVOKED;
	if (code == NULL)
		return true;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (strcmp(code, known[i].code) == 0) {
			*reason = known[i].reason;
			return true;
		}
	}
	reply_bad_request(req, "reason is revoked, logged_out or password_changed.");
	return false;
}

const char *name_in_path(struct ones_request *req)
{
	return ones_plain_name(req, ones_path(req, "name"));
}

static enum ones_result find_by(struct ones_db *db, const char *sql, const char *username,
                                struct found_account *account)
{
	struct ones_rows *rows = NULL;
	enum ones_result result = ONES_RESULT_FAILED;

	*account = (struct found_account){0};
	if (username != NULL)
		result = ones_sql(db, &rows, sql, ONES_VALUES(ONES_TEXT(username)));
	if (result == ONES_RESULT_OK && ones_rows_count(rows) > 0)
		*account = (struct found_account){.id = ones_int(rows, 0, "id"),
		                                  .is_admin = ones_bool(rows, 0, "is_admin"),
		                                  .is_written_so = ones_bool(rows, 0, "is_written_so"),
		                                  .has_external_id = ones_bool(rows, 0, "has_external_id")};
	return result;
}

#define FIND_ACCOUNT                                                                                                   \
	"SELECT id, is_admin, username COLLATE \"C\" = $1 AS is_written_so,"                                           \
	" external_id IS NOT NULL AS has_external_id FROM users WHERE " IS_NAMED

enum ones_result find_account(struct ones_request *req, const char *typed, struct found_account *account)
{
	return find_by(ones_db(req), FIND_ACCOUNT, ones_plain_name(req, typed), account);
}

enum ones_result hold_account(struct ones_db *db, const char *username, struct found_account *account)
{
	return find_by(db, FIND_ACCOUNT " FOR UPDATE", username, account);
}

void reply_account(struct ones_request *req, int status, int64_t user_id)
{
	struct ones_rows *rows;
	enum ones_result result = ones_sql(ones_db(req), &rows, "SELECT " ACCOUNT_COLUMNS " FROM users WHERE id = $1",
	                                   ONES_VALUES(ONES_INT(user_id)));
	json_t *all;

	if (result != ONES_RESULT_OK) {
		ones_reply_failure(req, result, NULL);
		return;
	}
	if (ones_rows_count(rows) == 0) {
		reply_not_there(req, "There is no such account.");
		return;
	}
	all = ones_rows_json(rows);
	ones_reply_json(req, status, json_incref(json_array_get(all, 0)));
	json_decref(all);
}
