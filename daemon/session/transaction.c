/* A database transaction with its retries. */
#include "session/transaction.h"

#include "session/rule_sql.h"

#define ATTEMPTS 5

enum db_status transaction_confirm(struct db *db)
{
	return db_query(db, NULL, &sql_confirm, NULL, 0, NULL);
}

static enum db_status run_and_commit(struct db *db, enum transaction_retry retry, bool confirms, transaction_body *body,
                                     void *context)
{
	enum db_status status = db_begin(db);

	if (status != DB_OK)
		return status;
	if (confirms)
		status = transaction_confirm(db);
	if (status != DB_OK)
		return status;
	status = body(db, context);
	if (status != DB_OK)
		return status;
	return retry == TRANSACTION_OF_MODULE ? db_commit_text(db) : db_commit(db);
}

static enum db_status run_with_retry(struct db *db, enum transaction_retry retry, bool confirms, transaction_body *body,
                                     void *context)
{
	int attempts = retry == TRANSACTION_ONCE ? 1 : ATTEMPTS;
	enum db_status status = DB_CONFLICT;

	for (int attempt = 0; attempt < attempts && status == DB_CONFLICT; attempt++) {
		status = run_and_commit(db, retry, confirms, body, context);
		if (status != DB_OK)
			db_rollback(db);
	}
	return status;
}

enum db_status transaction_run(struct db *db, enum transaction_retry retry, transaction_body *body, void *context)
{
	enum db_status status = run_with_retry(db, retry, false, body, context);

	if (retry != TRANSACTION_IDEMPOTENT)
		return status;
	for (int attempt = 1; attempt < ATTEMPTS && status == DB_UNKNOWN; attempt++) {
		status = run_with_retry(db, retry, true, body, context);
		/* What the first has committed, if it has, nobody was notified of. */
		if (status == DB_OK)
			(void)db_notify(db, "");
	}
	return status;
}
