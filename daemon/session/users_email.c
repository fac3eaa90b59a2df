/* Accounts by their addresses, and when they are deleted for good. */
#include "base/email.h"
#include "session/sql.h"
#include "session/users.h"

#include <string.h>

/* So many accounts are changed by one statement, which holds them meanwhile. */
#define VERIFIED_AT_ONCE 1000

const char *users_login_subject(TALLOC_CTX *ctx, const char *plain)
{
	char address[EMAIL_SIZE];

	if (strchr(plain, '@') == NULL || email_parse(plain, address) != NULL)
		return plain;
	return talloc_strdup(ctx, address);
}

enum db_status users_find_login(struct db *db, TALLOC_CTX *ctx, const char *plain, struct user **user)
{
	char address[EMAIL_SIZE];
	bool is_name = users_name_problem(plain) == NULL;
	bool is_address = strchr(plain, '@') != NULL && email_parse(plain, address) == NULL;
	const struct db_value values[] = {
		is_name ? DB_TEXT(plain) : DB_NULL,
		is_address ? DB_TEXT(address) : DB_NULL,
	};

	*user = NULL;
	return is_name || is_address ? users_find_by(db, ctx, &sql_find_login, values, 2, user) : DB_OK;
}

enum db_status users_set_email(struct db *db, int64_t id, const char *email, bool is_verified, bool *is_taken)
{
	const struct db_value values[] = {DB_INT(id), DB_TEXT(email), DB_BOOL(is_verified)};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = db_query(db, scratch, &sql_set_email, values, 3, &row);

	*is_taken = false;
	if (status == DB_OK && !db_bool(row, 0, 0))
		status = DB_CONFLICT;
	else if (status == DB_OK)
		*is_taken = !db_bool(row, 0, 1);
	talloc_free(scratch);
	return status;
}

enum db_status users_count_unverified(struct db *db, TALLOC_CTX *ctx, const struct unverified *which, int64_t *count,
                                      const char **first)
{
	const struct db_value values[] = {DB_INT(which->user_id), DB_TEXT(which->domain)};
	struct db_result *row;
	enum db_status status = db_query(db, ctx, &sql_unverified_emails, values, 2, &row);

	*count = status == DB_OK ? db_int(row, 0, 0) : 0;
	*first = status == DB_OK ? db_text(row, 0, 1) : NULL;
	return status;
}

enum db_status users_verify(struct db *db, const struct unverified *which, const char *detail, int64_t *count)
{
	int64_t after = 0, done = VERIFIED_AT_ONCE;
	enum db_status status = DB_OK;

	*count = 0;
	while (status == DB_OK && done == VERIFIED_AT_ONCE) {
		const struct db_value values[] = {DB_INT(which->user_id), DB_TEXT(which->domain), DB_INT(after),
		                                  DB_INT(VERIFIED_AT_ONCE), DB_TEXT(detail)};
		TALLOC_CTX *scratch = talloc_new(NULL);
		struct db_result *row;

		status = db_query(db, scratch, &sql_verify_emails, values, 5, &row);
		if (status == DB_OK) {
			after = db_int(row, 0, 0);
			done = db_int(row, 0, 1);
			*count += done;
		}
		talloc_free(scratch);
	}
	return status;
}

enum db_status users_set_deletion(struct db *db, int64_t id, int64_t pause_ms, int64_t *delete_at)
{
	const struct db_value values[] = {DB_INT(id), pause_ms >= 0 ? DB_INT(pause_ms) : DB_NULL};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = db_query(db, scratch, &sql_set_deletion, values, 2, &row);

	*delete_at = status == DB_OK && db_rows(row) > 0 ? db_time_or_never(row, 0, 0) : 0;
	if (status == DB_OK && db_rows(row) == 0)
		status = DB_CONFLICT;
	talloc_free(scratch);
	return status;
}

enum db_status users_erase(struct db *db, int64_t id, bool *was_due)
{
	const struct db_value values[] = {DB_INT(id)};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = db_query(db, scratch, &sql_erase_account, values, 1, &row);

	*was_due = status == DB_OK && db_bool(row, 0, 0);
	talloc_free(scratch);
	return status;
}
