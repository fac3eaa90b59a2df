/* Behind ones_sql() and ones_transact(): the SQL of modules, on the process's own connection. */
#include "session/module_sql.h"

#include "base/log.h"
#include "session/emission.h"
#include "session/transaction.h"

/* More than one statement has parameters in practice; PostgreSQL's own limit is 65535. */
#define VALUES_MAX 1000

enum ones_result module_sql_result(enum db_status status)
{
	switch (status) {
	case DB_OK: return ONES_RESULT_OK;
	case DB_CONFLICT: return ONES_RESULT_CONFLICT;
	case DB_DUPLICATE: return ONES_RESULT_DUPLICATE;
	case DB_VIOLATION: return ONES_RESULT_VIOLATION;
	case DB_REFUSED: return ONES_RESULT_REFUSED;
	case DB_ERROR: return ONES_RESULT_FAILED;
	default: return ONES_RESULT_UNAVAILABLE;
	}
}

/* What can be expected, such as a name that is taken, is no error of the module's. */
static enum log_level level_of(enum db_status status)
{
	switch (status) {
	case DB_CONFLICT:
	case DB_DUPLICATE:
	case DB_VIOLATION: return LOG_LEVEL_INFO;
	case DB_UNAVAILABLE: return LOG_LEVEL_WARNING;
	default: return LOG_LEVEL_ERROR;
	}
}

static void log_failure(const struct ones_db *db, enum db_status status, const char *sql)
{
	char label[SQL_LABEL_SIZE];

	LOG_AT(level_of(status), "sql_failed", LOG_STR("problem", db_problem(db->db)),
	       LOG_STR("sqlstate", db_failure(db->db)->sqlstate), LOG_STR("sql", sql_label(sql, label)),
	       LOG_STR("purpose", db->purpose));
}

enum ones_result module_sql_refuse(const struct ones_db *db, const char *what, const char *problem)
{
	char label[SQL_LABEL_SIZE];

	log_error("sql_refused", LOG_STR("problem", problem), LOG_STR("sql", sql_label(what, label)),
	          LOG_STR("purpose", db != NULL ? db->purpose : ""));
	return ONES_RESULT_FAILED;
}

const char *module_sql_refusal(const struct ones_db *db)
{
	return db != NULL ? db->refusal
	                  : "there is no database: after the commit receivers have none, or out of memory";
}

enum ones_result module_sql_run(struct ones_db *db, struct ones_rows **rows, const char *sql,
                                const char *const values[], size_t count)
{
	/* What follows a failure in the same transaction is not sent, and says nothing new. */
	bool has_failed = db_transaction_failure(db->db) != DB_OK;
	struct db_result *result = NULL;
	const char *problem = db_is_text_prepared(db->db, sql) ? NULL : sql_problem(sql);
	enum db_status status;

	if (problem != NULL)
		return module_sql_refuse(db, sql, problem);
	db_set_time_limit(db->db, db->until_ms);
	status = db_run_text(db->db, db->ctx, sql, count, values, rows != NULL ? &result : NULL);
	db_set_time_limit(db->db, 0);
	if (status != DB_OK && !has_failed)
		log_failure(db, status, sql);
	if (status != DB_OK || rows == NULL)
		return module_sql_result(status);
	*rows = module_rows_new(db, result, sql);
	return *rows != NULL ? ONES_RESULT_OK : module_sql_refuse(db, sql, "out of memory");
}

enum ones_result ones_sql(struct ones_db *db, struct ones_rows **rows, const char *sql,
                          const struct ones_value values[], size_t count)
{
	enum ones_result result;
	const char **texts;

	if (rows != NULL)
		*rows = NULL;
	if (module_sql_refusal(db) != NULL)
		return module_sql_refuse(db, sql, module_sql_refusal(db));
	if (count > VALUES_MAX)
		return module_sql_refuse(db, sql, "more than 1000 values");
	texts = sql_values_as_text(db->ctx, values, count);
	if (texts == NULL)
		return module_sql_refuse(db, sql, "out of memory");
	result = module_sql_run(db, rows, sql, texts, count);
	talloc_free(texts);
	return result;
}

/* ---- Transactions ------------------------------------------------------------------------------------------- */

enum db_status module_sql_join(struct ones_db *db, struct emission *emission, module_sql_body *body, void *context,
                               enum ones_result *result)
{
	enum db_status status;

	db->emission = emission;
	db->in_transaction = true;
	*result = body(db, context);
	db->in_transaction = false;
	db->emission = NULL;
	status = db_transaction_failure(db->db);
	if ((db->has_misread || emission->has_failed) && *result == ONES_RESULT_OK)
		*result = emission->refusal.code != NULL ? ONES_RESULT_REFUSED : ONES_RESULT_FAILED;
	if (status == DB_CONFLICT || (status != DB_OK && *result == ONES_RESULT_OK)) {
		/* It may be run again; and what has failed is not committed, whatever the body makes of it. */
		*result = ONES_RESULT_OK;
		return status;
	}
	return *result == ONES_RESULT_OK ? DB_OK : DB_ERROR;
}

struct bound_body {
	struct ones_db *db;
	struct emission emission;
	module_sql_body *body;
	void *context;
	enum ones_result result; /* of the body, in the last run; OK: it has not run, or its transaction failed */
};

static enum db_status run_body(struct db *db, void *context)
{
	struct bound_body *bound = context;

	(void)db;
	emission_begin(&bound->emission);
	return module_sql_join(bound->db, &bound->emission, bound->body, bound->context, &bound->result);
}

/* Of a transaction that was not committed and whose body has given no reason. */
static void log_lost(const struct ones_db *db, enum db_status status)
{
	if (status == DB_UNKNOWN)
		log_error("commit_unknown", LOG_STR("problem", db_problem(db->db)), LOG_STR("purpose", db->purpose));
	else
		log_failure(db, status, "COMMIT");
}

enum ones_result ones_transact(struct ones_db *db, enum ones_result (*body)(struct ones_db *db, void *context),
                               void *context)
{
	struct bound_body bound = {.db = db, .body = body, .context = context};
	enum db_status status;

	if (module_sql_refusal(db) != NULL)
		return module_sql_refuse(db, "BEGIN", module_sql_refusal(db));
	if (db->in_transaction)
		return module_sql_refuse(db, "BEGIN", "there is a transaction already: they do not nest");
	bound.emission = (struct emission){.ctx = db->ctx, .can_refuse = true};
	status = transaction_run(db->db, TRANSACTION_OF_MODULE, run_body, &bound);
	if (db->refused != NULL)
		*db->refused = bound.emission.refusal;
	db->is_telling = true;
	if (status == DB_OK)
		emission_committed(&bound.emission, db->signals);
	db->is_telling = false;
	if (status == DB_OK || bound.result != ONES_RESULT_OK)
		return bound.result;
	log_lost(db, status);
	return module_sql_result(status);
}
