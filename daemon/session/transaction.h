/* A database transaction from BEGIN to COMMIT or ROLLBACK, with its retries: the only caller of db_begin(). */
#ifndef SESSION_TRANSACTION_H
#define SESSION_TRANSACTION_H

#include "session/db.h"

/* When a transaction is run again. What happens more often than five times in a row is not chance. */
enum transaction_retry {
	TRANSACTION_ONCE,
	TRANSACTION_RETRIED,    /* when it was lost (DB_CONFLICT): nothing of it remains */
	TRANSACTION_IDEMPOTENT, /* also when its outcome is not known (DB_UNKNOWN), for it may be done twice. The
	                           further ones confirm the first, see below */
	TRANSACTION_OF_MODULE,  /* as TRANSACTION_RETRIED, for statements of a module's */
};

/* The statements. Any status but DB_OK rolls them back. It may be run again, so it sets all that it leaves behind. */
typedef enum db_status transaction_body(struct db *db, void *context);

/* Returns what the last run's body or COMMIT did: DB_OK is committed. */
enum db_status transaction_run(struct db *db, enum transaction_retry retry, transaction_body *body, void *context);

/*
 * For a body: have its commit wait for the synchronous standbys (if there are any), also when it changes nothing: it
 * then confirms what was committed before.
 */
enum db_status transaction_confirm(struct db *db);

#endif
