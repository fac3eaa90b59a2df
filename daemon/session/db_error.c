/* What an error of the server means for its caller: by its SQLSTATE. */
#include "session/db_private.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_sqlstate_class(const char *sqlstate, const char *prefix)
{
	return strncmp(sqlstate, prefix, strlen(prefix)) == 0;
}

/* The server is going away or cannot serve us: 57P0x shutdown, 08 connection, 25006 read-only, 25P03 idle too long. */
static bool means_lost(const char *sqlstate)
{
	return is_sqlstate_class(sqlstate, "57P0") || is_sqlstate_class(sqlstate, "08") ||
	       strcmp(sqlstate, "25006") == 0 || strcmp(sqlstate, "25P03") == 0;
}

/* More or fewer values than the statement has parameters: no fault of the connection. */
static bool means_miscounted(const char *sqlstate)
{
	return strcmp(sqlstate, "08P01") == 0;
}

/* What was prepared is unknown to the server (26000), or known before it was prepared (42P05). */
static bool means_mixed_up(const char *sqlstate)
{
	return strcmp(sqlstate, "26000") == 0 || strcmp(sqlstate, "42P05") == 0;
}

/* What was prepared is of no more use; 0A000: it was planned for tables that have changed. */
static bool means_stale(const char *sqlstate)
{
	return means_mixed_up(sqlstate) || strcmp(sqlstate, "0A000") == 0;
}

/* It took too long (57014), resources are short (53), or another holds the lock (55P03). */
static bool means_refused(const char *sqlstate)
{
	return strcmp(sqlstate, "57014") == 0 || is_sqlstate_class(sqlstate, "53") || strcmp(sqlstate, "55P03") == 0;
}

static bool has_succeeded(const PGresult *pg)
{
	ExecStatusType status = PQresultStatus(pg);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

/* Count a failure, and keep what is said of it: `message`, or what the server says itself. */
static const char *note_error(struct db_connection *connection, const PGresult *pg, const char *message)
{
	const char *sqlstate = PQresultErrorField(pg, PG_DIAG_SQLSTATE);
	const char *position = PQresultErrorField(pg, PG_DIAG_STATEMENT_POSITION);
	struct db_failure *failure = &connection->failure;

	counters_add(connection->config.counters, COUNTER_DATABASE_ERRORS);
	if (sqlstate == NULL)
		sqlstate = PQstatus(connection->conn) == CONNECTION_BAD ? "08006" : "XX000";
	if (message == NULL)
		message = PQresultErrorField(pg, PG_DIAG_MESSAGE_PRIMARY);
	*failure = (struct db_failure){.position = position != NULL ? (int)strtol(position, NULL, 10) : 0};
	(void)snprintf(failure->sqlstate, sizeof failure->sqlstate, "%s", sqlstate);
	(void)snprintf(connection->problem, sizeof connection->problem, "%s (SQLSTATE %s)",
	               message != NULL ? message : "no answer", failure->sqlstate);
	connection->has_mixed_up |= means_mixed_up(failure->sqlstate);
	if (means_mixed_up(failure->sqlstate))
		log_error(
			"prepared_statements_mixed_up", LOG_STR("problem", connection->problem),
			LOG_STR("hint", "behind a connection pooler in transaction mode, set database.prepare = off"));
	return failure->sqlstate;
}

enum db_answer db_classify_result(struct db_connection *connection, const PGresult *pg, const char *what,
                                  enum db_status *status)
{
	const char *sqlstate;

	*status = DB_OK;
	if (has_succeeded(pg))
		return DB_ANSWER_OK;
	sqlstate = note_error(connection, pg, NULL);
	if (means_lost(sqlstate) || means_stale(sqlstate)) {
		*status = DB_CONFLICT;
		db_connection_drop(connection);
		return DB_ANSWER_AGAIN;
	}
	/* 23503: the account that a row belongs to was deleted a moment ago; seen anew, there is nothing to be done. */
	if (is_sqlstate_class(sqlstate, "40") || strcmp(sqlstate, "23503") == 0) {
		*status = DB_CONFLICT;
	} else if (strcmp(sqlstate, "23505") == 0) {
		*status = DB_DUPLICATE;
	} else if (means_refused(sqlstate)) {
		*status = DB_UNAVAILABLE;
		log_error("database_refused", LOG_STR("statement", what), LOG_STR("problem", connection->problem));
	} else {
		*status = DB_ERROR;
		log_error("database_error", LOG_STR("statement", what), LOG_STR("problem", connection->problem));
	}
	return DB_ANSWER_FINAL;
}

enum db_answer db_conclude(struct db_connection *connection, const PGresult *pg, const char *what, bool is_alone,
                           enum db_status *status)
{
	enum db_answer answer = db_classify_result(connection, pg, what, status);

	if (answer == DB_ANSWER_OK && is_alone && db_connection_is_read_only(connection) &&
	    !connection->was_read_only) {
		/* There may be another primary by now, and the answer may be outdated. */
		db_connection_set_problem(connection, "the server has become read-only");
		db_connection_drop(connection);
		return DB_ANSWER_AGAIN;
	}
	return answer;
}

/* ---- Statements of modules ---------------------------------------------------------------------------------- */

/* What is said in place of a message that has the value in it. */
static const char *message_without_value(const char *sqlstate)
{
	return is_sqlstate_class(sqlstate, "22") ? "a value does not fit the type of its column or parameter" : NULL;
}

static enum db_status status_for_module(const char *sqlstate)
{
	if (is_sqlstate_class(sqlstate, "40"))
		return DB_CONFLICT;
	if (strcmp(sqlstate, "23505") == 0)
		return DB_DUPLICATE;
	if (is_sqlstate_class(sqlstate, "23") || is_sqlstate_class(sqlstate, "22"))
		return DB_VIOLATION;
	return means_refused(sqlstate) ? DB_UNAVAILABLE : DB_ERROR;
}

/* An error ends a statement without effect; what is more than that ends the connection, at whatever moment. */
static bool is_without_effect(const PGresult *pg)
{
	const char *severity = PQresultErrorField(pg, PG_DIAG_SEVERITY_NONLOCALIZED);

	return severity != NULL && strcmp(severity, "ERROR") == 0;
}

enum db_answer db_classify_text(struct db_connection *connection, const PGresult *pg, bool is_old,
                                enum db_status *status)
{
	const char *sqlstate = PQresultErrorField(pg, PG_DIAG_SQLSTATE);

	*status = DB_OK;
	if (has_succeeded(pg))
		return DB_ANSWER_OK;
	sqlstate = note_error(connection, pg, message_without_value(sqlstate != NULL ? sqlstate : ""));
	*status = status_for_module(sqlstate);
	if ((!means_lost(sqlstate) || means_miscounted(sqlstate)) && !means_mixed_up(sqlstate) &&
	    !(is_old && means_stale(sqlstate)) && PQstatus(connection->conn) == CONNECTION_OK)
		return DB_ANSWER_FINAL;
	*status = DB_UNAVAILABLE;
	db_connection_drop(connection);
	return is_without_effect(pg) ? DB_ANSWER_AGAIN : DB_ANSWER_FINAL;
}
