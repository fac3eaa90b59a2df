/* What an error of the server means for its caller: by its SQLSTATE. */
#include "session/db_private.h"

#include "base/log.h"

#include <stdio.h>
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

enum db_answer db_classify_result(struct db_connection *connection, const PGresult *pg, const char *what,
                                  enum db_status *status)
{
	const char *sqlstate;
	const char *message;

	switch (PQresultStatus(pg)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY: *status = DB_OK; return DB_ANSWER_OK;
	default: break;
	}
	counters_add(connection->config.counters, COUNTER_DATABASE_ERRORS);
	sqlstate = PQresultErrorField(pg, PG_DIAG_SQLSTATE);
	if (sqlstate == NULL)
		sqlstate = PQstatus(connection->conn) == CONNECTION_BAD ? "08006" : "XX000";
	message = PQresultErrorField(pg, PG_DIAG_MESSAGE_PRIMARY);
	(void)snprintf(connection->problem, sizeof connection->problem, "%s (SQLSTATE %s)",
	               message != NULL ? message : "no answer", sqlstate);
	connection->has_mixed_up |= means_mixed_up(sqlstate);
	if (means_mixed_up(sqlstate))
		log_error(
			"prepared_statements_mixed_up", LOG_STR("problem", connection->problem),
			LOG_STR("hint", "behind a connection pooler in transaction mode, set database.prepare = off"));
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
	} else if (strcmp(sqlstate, "57014") == 0 || is_sqlstate_class(sqlstate, "53") ||
	           strcmp(sqlstate, "55P03") == 0) {
		*status = DB_UNAVAILABLE;
		log_error("database_refused", LOG_STR("statement", what), LOG_STR("problem", connection->problem));
	} else {
		*status = DB_ERROR;
		log_error("database_error", LOG_STR("statement", what), LOG_STR("problem", connection->problem));
	}
	return DB_ANSWER_FINAL;
}
