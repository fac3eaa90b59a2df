/* Browsers that were signed in to an account before: their statements. */
#include "session/browsers.h"

#include "session/sql.h"

enum db_status browsers_remember(struct db *db, int64_t user_id, const struct session_key *old,
                                 const struct session_key *new)
{
	const struct db_value values[] = {DB_INT(user_id), DB_KEY(new), old != NULL ? DB_KEY(old) : DB_NULL};

	return old != NULL ? db_query(db, NULL, &sql_move_browser, values, 3, NULL)
	                   : db_query(db, NULL, &sql_add_browser, values, 2, NULL);
}

enum db_status browsers_forget(struct db *db, int64_t user_id, const struct session_key *kept)
{
	const struct db_value values[] = {DB_INT(user_id), kept != NULL ? DB_KEY(kept) : DB_NULL};

	return db_query(db, NULL, &sql_forget_browsers, values, 2, NULL);
}

static enum db_status ask(struct db *db, const struct db_statement *statement, int64_t user_id,
                          const struct session_key *browser, bool *answer)
{
	const struct db_value values[] = {DB_INT(user_id), browser != NULL ? DB_KEY(browser) : DB_NULL};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *rows;
	enum db_status status = db_query(db, scratch, statement, values, 2, &rows);

	*answer = status == DB_OK && db_bool(rows, 0, 0);
	talloc_free(scratch);
	return status;
}

enum db_status browsers_knows(struct db *db, int64_t user_id, const struct session_key *browser, bool *known)
{
	return ask(db, &sql_browser_is_known, user_id, browser, known);
}

enum db_status browsers_is_new(struct db *db, int64_t user_id, const struct session_key *browser, bool *is_new)
{
	return ask(db, &sql_browser_is_new, user_id, browser, is_new);
}
