/* Browsers that were signed in to an account before: their statements. */
#include "session/browsers.h"

#include "session/sql.h"

enum db_status browsers_remember(struct db *db, int64_t user_id, const struct session_key *old,
                                 const struct session_key *new)
{
	const struct db_value values[] = {
		DB_INT(user_id),
		old != NULL ? DB_BYTES(old->bytes, sizeof old->bytes) : DB_NULL,
		DB_BYTES(new->bytes, sizeof new->bytes),
	};

	return db_query(db, NULL, &sql_remember_browser, values, 3, NULL);
}

enum db_status browsers_forget(struct db *db, int64_t user_id, const struct session_key *kept)
{
	const struct db_value values[] = {DB_INT(user_id),
	                                  kept != NULL ? DB_BYTES(kept->bytes, sizeof kept->bytes) : DB_NULL};

	return db_query(db, NULL, &sql_forget_browsers, values, 2, NULL);
}

enum db_status browsers_knows(struct db *db, int64_t user_id, const struct session_key *browser, bool *known)
{
	const struct db_value values[] = {DB_INT(user_id), DB_BYTES(browser->bytes, sizeof browser->bytes)};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *rows;
	enum db_status status = db_query(db, scratch, &sql_browser_is_known, values, 2, &rows);

	*known = status == DB_OK && db_bool(rows, 0, 0);
	talloc_free(scratch);
	return status;
}
