/* Recovery of a lost commit. */
#include "session/commit_outcome.h"

#include "session/account_tx.h"
#include "session/rule_sql.h"

/*
 * The connection was lost while the server had our COMMIT. Whoever gets the account's lock knows that the lost
 * transaction has ended one way or the other: then the key tells which, and our own commit that it will last.
 */
static enum db_status read_once(struct db *db, TALLOC_CTX *ctx, int64_t user_id, const struct session_key *key,
                                bool *committed)
{
	const struct db_value values[] = {DB_BYTES(key->bytes, sizeof key->bytes)};
	struct db_result *row = NULL;
	const struct account_tx tx = {.ctx = ctx, .db = db};
	enum db_status status = db_reconnect(db);

	if (status == DB_OK)
		status = db_begin(db);
	if (status == DB_OK)
		status = account_tx_lock(&tx, user_id);
	if (status == DB_OK)
		status = db_query(db, ctx, &sql_session_exists, values, 1, &row);
	if (status == DB_OK) {
		*committed = db_bool(row, 0, 0);
		status = account_tx_unlock(&tx, user_id);
	}
	if (status == DB_OK)
		status = account_tx_confirm(&tx);
	if (status == DB_OK)
		status = db_commit(db);
	if (status != DB_OK)
		db_rollback(db);
	return status;
}

enum db_status commit_outcome_read(struct db *db, TALLOC_CTX *ctx, int64_t user_id, const struct session_key *key,
                                   bool *committed)
{
	enum db_status status = DB_UNKNOWN;

	for (int state = 0; state < COMMIT_OUTCOME_ATTEMPTS && (status == DB_UNKNOWN || status == DB_CONFLICT); state++)
		status = read_once(db, ctx, user_id, key, committed);
	return status;
}
