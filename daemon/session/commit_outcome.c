/* Recovery of a lost commit. */
#include "session/commit_outcome.h"

#include "session/rule_sql.h"

#include <stdbool.h>

/* What breaks one connection may break the next few. */
#define ATTEMPTS 3

struct reading {
	TALLOC_CTX *ctx;
	int64_t user_id;
	const struct session_key *key;
	bool *committed;
};

/*
 * The connection was lost while the server had our COMMIT. A transaction that gets the account's lock knows that the
 * lost one has ended one way or the other: then the key shows which, and this commit confirms that it will last.
 */
static enum db_status read_key(struct db *db, void *context)
{
	const struct reading *reading = context;
	const struct account_tx tx = {.ctx = reading->ctx, .db = db};
	const struct db_value values[] = {DB_KEY(reading->key), DB_INT(reading->user_id)};
	struct db_result *row = NULL;
	enum db_status status = account_tx_lock(&tx, reading->user_id);

	if (status != DB_OK)
		return status;
	status = db_query(db, reading->ctx, &sql_session_exists, values, 2, &row);
	if (status != DB_OK)
		return status;
	*reading->committed = db_bool(row, 0, 0);
	status = account_tx_unlock(&tx, reading->user_id);
	return status == DB_OK ? transaction_confirm(db) : status;
}

/* DB_OK with *committed: whether the session with that key was stored; it then stays stored. */
static enum db_status read_outcome(struct db *db, TALLOC_CTX *ctx, int64_t user_id, const struct session_key *key,
                                   bool *committed)
{
	struct reading reading = {.ctx = ctx, .user_id = user_id, .key = key, .committed = committed};
	enum db_status status = DB_UNKNOWN;

	/* Each with an attempt of its own to connect, also while attempts fail: a request waits for this. */
	for (int i = 0; i < ATTEMPTS && (status == DB_UNKNOWN || status == DB_CONFLICT); i++) {
		status = db_reconnect(db);
		if (status == DB_OK)
			status = transaction_run(db, TRANSACTION_ONCE, read_key, &reading);
	}
	return status;
}

enum db_status commit_outcome_run(struct account_tx *tx, int64_t user_id, const struct session_key *key,
                                  account_tx_body *body, void *context)
{
	bool committed = false;
	enum db_status status = account_tx_run(tx, TRANSACTION_RETRIED, body, context);

	/* When nothing was committed it runs once more, and its outcome may be lost as well. */
	for (int tries = 0; tries < ATTEMPTS && status == DB_UNKNOWN; tries++) {
		status = read_outcome(tx->db, tx->ctx, user_id, key, &committed);
		if (status == DB_OK && committed) {
			(void)db_notify(tx->db, "");
			account_tx_committed(tx);
		} else if (status == DB_OK)
			status = account_tx_run(tx, TRANSACTION_RETRIED, body, context);
		else
			break;
	}
	return status;
}
