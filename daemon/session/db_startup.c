/* What a new connection is told and asked before it is used. */
#include "session/db_private.h"

#include <stdio.h>

/*
 * What the role or the database may have set otherwise, and what is read and written depends on. Poolers that pass
 * connections on (prepare off) keep these two for each of their clients: the server reports them.
 */
#define REPORTED "SET DateStyle = ISO; SET standard_conforming_strings = on; "
#define OTHERS                                                                                                         \
	"SET IntervalStyle = postgres; SET bytea_output = hex; SET extra_float_digits = 1; "                           \
	"SET default_transaction_isolation = 'read committed'; "
/*
 * Unless it is named, the schema of temporary tables is looked in first: one that is called like a table of ours would
 * hide that.
 */
#define TEMPORARY_LAST                                                                                                 \
	"SELECT set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), 'pg_temp'), "    \
	"false); "
/*
 * Prepared statements keep the plan that was best when they were first run: for a table that was empty then, a
 * sequential scan. Every table has an index for what is asked, and no statement runs so long that JIT is worth it; nor
 * is there a better plan for one key than for another, which the server would look for at each request.
 */
#define PLANS "SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan; "

void db_startup_settings(const struct db_connection *connection, char sql[DB_SETTINGS_SIZE])
{
	/* Behind a pooler of transactions the server's connection goes to other clients, and what was SET with it. */
	if (!connection->config.prepare)
		(void)snprintf(sql, DB_SETTINGS_SIZE, REPORTED);
	else
		(void)snprintf(sql, DB_SETTINGS_SIZE,
		               REPORTED OTHERS TEMPORARY_LAST PLANS
		               "SET statement_timeout = %lld; SET idle_in_transaction_session_timeout = %d; ",
		               (long long)connection->config.statement_timeout_ms, DB_IDLE_IN_TRANSACTION_MS);
}

void db_startup_query(const struct db_connection *connection, char sql[DB_STARTUP_SIZE])
{
	char settings[DB_SETTINGS_SIZE];

	db_startup_settings(connection, settings);
	(void)snprintf(sql, DB_STARTUP_SIZE, "%sBEGIN; SELECT %s", settings,
	               connection->config.required_schema > 0
	                       ? "max(version), pg_is_in_recovery() FROM schema_migrations"
	                       : "0, pg_is_in_recovery()");
}
