/* Statements, transactions, notifications. */
#include "session/db_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int db_destroy(struct db *db)
{
	PQclear(db->background.pg);
	return 0;
}

struct db *db_new(TALLOC_CTX *ctx, const struct db_config *config)
{
	struct db *db = talloc_zero(ctx, struct db);

	if (db == NULL)
		return NULL;
	db->connection = db_connection_new(db, config);
	if (db->connection == NULL) {
		talloc_free(db);
		return NULL;
	}
	talloc_set_destructor(db, db_destroy);
	return db;
}

/* ---- The connection, for callers ---------------------------------------------------------------------------- */

const char *db_problem(const struct db *db)
{
	return db->connection->problem;
}

void db_set_problem(struct db *db, const char *problem)
{
	db_connection_set_problem(db->connection, problem);
}

enum db_status db_out_of_memory(struct db *db)
{
	db_set_problem(db, "out of memory");
	return DB_ERROR;
}

bool db_schema_mismatch(const struct db *db)
{
	return db->connection->schema_mismatch;
}

bool db_has_mixed_up(const struct db *db)
{
	return db->connection->has_mixed_up;
}

bool db_is_connected(const struct db *db)
{
	return db->connection->state == STATE_UP;
}

int64_t db_waited_us(const struct db *db)
{
	return db->connection->waited_us;
}

int db_socket(const struct db *db)
{
	return db_connection_socket(db->connection);
}

unsigned int db_watch_id(const struct db *db)
{
	return db->connection->watch_id;
}

bool db_wants_write(const struct db *db)
{
	return db_connection_wants_write(db->connection);
}

/* ---- Statements ---------------------------------------------------------------------------------------------- */

enum db_status db_transaction_failure(const struct db *db)
{
	return db->transaction_failure;
}

const struct db_failure *db_failure(const struct db *db)
{
	return &db->connection->failure;
}

enum db_status db_note_failure(struct db *db, bool in_transaction, enum db_status status)
{
	if (in_transaction)
		db->transaction_failure = status;
	return status;
}

/* Run a statement, or for NULL the script `sql`, again on a new connection when that can be right. */
static enum db_status run_again(struct db *db, const struct db_statement *statement, const char *sql,
                                const struct db_params *params, PGresult **pg)
{
	enum db_status status = DB_UNAVAILABLE;
	bool in_transaction = db->connection->server.in_transaction;

	*pg = NULL;
	for (int attempt = 0; attempt < DB_ATTEMPTS; attempt++) {
		enum db_exchange exchange;
		enum db_answer answer;

		if (!db_connection_ensure(db->connection))
			return DB_UNAVAILABLE;
		exchange = statement != NULL ? db_exchange_statement(db->connection, statement, params, pg)
		                             : db_exchange_script(db->connection, sql, pg);
		if (exchange == OVERDUE && (in_transaction || db->connection->failures > 0))
			return DB_UNAVAILABLE;
		answer = DB_ANSWER_AGAIN;
		/* A transaction whose connection is lost is rolled back: nothing of it remains. */
		status = in_transaction ? DB_CONFLICT : DB_UNAVAILABLE;
		if (exchange == ANSWERED) {
			answer = db_conclude(db->connection, *pg, statement != NULL ? statement->name : "script",
			                     !in_transaction, &status);
			if (answer == DB_ANSWER_OK)
				return DB_OK;
			PQclear(*pg);
			*pg = NULL;
		}
		if (answer == DB_ANSWER_FINAL || in_transaction)
			return status;
	}
	return DB_UNAVAILABLE;
}

enum db_status db_connect(struct db *db)
{
	db_await_background(db);
	return db_connection_open(db->connection) ? DB_OK : DB_UNAVAILABLE;
}

enum db_status db_reconnect(struct db *db)
{
	db_await_background(db);
	return db_connection_open_once(db->connection) ? DB_OK : DB_UNAVAILABLE;
}

static enum db_status run_statement(struct db *db, const struct db_statement *statement, const char *sql,
                                    const struct db_params *params, PGresult **pg)
{
	bool in_transaction = db->connection->server.in_transaction;

	*pg = NULL;
	if (db->transaction_failure != DB_OK)
		return db->transaction_failure;
	db->connection->failure = (struct db_failure){0};
	db_await_background(db);
	return db_note_failure(db, in_transaction, run_again(db, statement, sql, params, pg));
}

enum db_status db_query(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement,
                        const struct db_value values[], size_t count, struct db_result **result)
{
	struct db_params params;
	enum db_status status;
	PGresult *pg;

	db_params_encode(&params, values, count);
	status = run_statement(db, statement, NULL, &params, &pg);
	if (result != NULL)
		*result = NULL;
	return status == DB_OK ? db_take_result(db->connection, ctx, pg, result) : status;
}

void *db_query_list(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement,
                    const struct db_value values[], size_t value_count, size_t size, db_read_row *read, size_t *count,
                    enum db_status *status)
{
	struct db_result *rows;
	char *items;

	*count = 0;
	*status = db_query(db, ctx, statement, values, value_count, &rows);
	if (*status != DB_OK)
		return NULL;
	items = talloc_array_size(ctx, size, (unsigned)db_rows(rows));
	if (items == NULL) {
		*status = db_out_of_memory(db);
		return NULL;
	}
	for (; *count < db_rows(rows); (*count)++)
		read(rows, *count, items + *count * size);
	return items;
}

enum db_status db_query_int(struct db *db, const struct db_statement *statement, const struct db_value values[],
                            size_t count, int64_t *number)
{
	struct db_result *row;
	enum db_status status = db_query(db, NULL, statement, values, count, &row);

	if (status != DB_OK)
		return status;
	if (db_rows(row) > 0)
		*number = db_int(row, 0, 0);
	talloc_free(row);
	return DB_OK;
}

enum db_status db_script(struct db *db, const char *sql)
{
	PGresult *pg;
	enum db_status status = run_statement(db, NULL, sql, NULL, &pg);

	PQclear(pg);
	return status;
}

enum db_status db_restore_settings(struct db *db)
{
	static const char reset[] = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; ";
	char sql[sizeof reset + DB_SETTINGS_SIZE];

	memcpy(sql, reset, sizeof reset);
	db_startup_settings(db->connection, sql + sizeof reset - 1);
	return db_script(db, sql);
}

static void drop_notices(struct db *db)
{
	TALLOC_FREE(db->notices);
}

enum db_status db_begin(struct db *db)
{
	char sql[200] = "BEGIN ISOLATION LEVEL READ COMMITTED";
	enum db_status status;

	if (!db->connection->config.prepare)
		(void)snprintf(sql + strlen(sql), sizeof sql - strlen(sql),
		               "; SET LOCAL statement_timeout = %lld;"
		               " SET LOCAL idle_in_transaction_session_timeout = %d",
		               (long long)db->connection->config.statement_timeout_ms, DB_IDLE_IN_TRANSACTION_MS);
	drop_notices(db);
	status = db_script(db, sql);
	db->connection->server.in_transaction = status == DB_OK;
	return status;
}

/* In JSON no character is below U+0020 (RFC 8259, 7): this one separates JSON texts (RFC 7464). */
#define RECORD_SEPARATOR "\x1e"

/* $1 payloads. That a crash of the server loses them is no harm, so the commit waits for neither disk nor standby. */
static const struct db_statement sql_notify = {
	"notify",
	"SELECT pg_notify('onesession', payload), set_config('synchronous_commit', 'off', true)"
	"  FROM regexp_split_to_table($1::text, U&'\\001e') AS payload",
};

static enum db_status send_notices(struct db *db, const char *payloads)
{
	const struct db_value values[] = {DB_TEXT(payloads)};

	return db_query(db, NULL, &sql_notify, values, 1, NULL);
}

enum db_status db_notify(struct db *db, const char *payload)
{
	if (!db->connection->server.in_transaction)
		return send_notices(db, payload);
	db->notices = db->notices == NULL ? talloc_strdup(db, payload)
	                                  : talloc_asprintf_append_buffer(db->notices, RECORD_SEPARATOR "%s", payload);
	return db->notices != NULL ? DB_OK : db_out_of_memory(db);
}

/* What the server has answered to COMMIT, or did not. */
static enum db_status conclude_commit(struct db_connection *connection, const PGresult *pg,
                                      enum db_classifier classifier)
{
	enum db_status status;
	enum db_answer answer = classifier == DB_OF_MODULES ? db_classify_text(connection, pg, false, &status)
	                                                    : db_classify_result(connection, pg, "COMMIT", &status);

	return answer != DB_ANSWER_OK && connection->state != STATE_UP ? DB_UNKNOWN : status;
}

static enum db_status commit(struct db *db, enum db_classifier classifier)
{
	enum db_status status;
	PGresult *pg = NULL;
	enum db_exchange exchange;
	bool rolled_back;

	if (db->transaction_failure != DB_OK)
		return db->transaction_failure;
	if (db->connection->state != STATE_UP)
		return DB_UNAVAILABLE;
	db->connection->is_warned = false;
	exchange = db_exchange_script(db->connection, "COMMIT", &pg);
	if (exchange != ANSWERED)
		return DB_UNKNOWN;
	db->connection->server.in_transaction = false;
	status = conclude_commit(db->connection, pg, classifier);
	rolled_back = status == DB_OK && strcmp(PQcmdStatus(pg), "COMMIT") != 0;
	PQclear(pg);
	if (rolled_back) {
		db_connection_set_problem(db->connection, "the server rolled the transaction back");
		return DB_ERROR;
	}
	if (status == DB_OK && db->connection->is_warned) {
		/* As when the wait for the synchronous standby was ended: a fail-over could lose the transaction. */
		db_connection_set_problem(db->connection, "the server committed with a warning");
		log_warning("commit_unconfirmed", LOG_STR("problem", db->connection->problem));
		return DB_UNKNOWN;
	}
	return status;
}

static enum db_status commit_and_notify(struct db *db, enum db_classifier classifier)
{
	enum db_status status = commit(db, classifier);

	/* What is committed stays so: a notification is a hint. */
	if (status == DB_OK && db->notices != NULL)
		(void)send_notices(db, db->notices);
	drop_notices(db);
	return status;
}

enum db_status db_commit(struct db *db)
{
	return commit_and_notify(db, DB_OF_DAEMON);
}

enum db_status db_commit_text(struct db *db)
{
	return commit_and_notify(db, DB_OF_MODULES);
}

void db_rollback(struct db *db)
{
	PGresult *pg = NULL;

	db->transaction_failure = DB_OK;
	drop_notices(db);
	if (db->connection->state != STATE_UP || !db->connection->server.in_transaction) {
		db->connection->server.in_transaction = false;
		return;
	}
	if (db_exchange_script(db->connection, "ROLLBACK", &pg) == ANSWERED && PQresultStatus(pg) != PGRES_COMMAND_OK)
		db_connection_drop(db->connection);
	PQclear(pg);
	db->connection->server.in_transaction = false;
}

/* ---- Notifications ------------------------------------------------------------------------------------------ */

enum db_status db_listen(struct db *db, const char *channel)
{
	enum db_status status = DB_OK;
	char sql[80];

	if (db->connection->server.is_listening)
		return DB_OK;
	(void)snprintf(sql, sizeof sql, "LISTEN %s", channel);
	/* Behind a pooler of transactions another client's connection would listen. */
	if (db->connection->config.prepare)
		status = db_script(db, sql);
	db->connection->server.is_listening = status == DB_OK;
	return status;
}

enum db_status db_wait_notification(struct db *db, int64_t timeout_ms)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;

	while (db->connection->server.is_listening && !db->connection->server.is_notified) {
		struct pollfd readable = {.fd = PQsocket(db->connection->conn), .events = POLLIN};
		int ready = poll(&readable, 1, clock_until_ms(until));

		if (ready == 0)
			break;
		if (ready > 0 &&
		    (PQconsumeInput(db->connection->conn) != 1 || PQstatus(db->connection->conn) != CONNECTION_OK)) {
			db_connection_lost(db->connection);
			return DB_UNAVAILABLE;
		}
		db_take_notifications(db->connection);
	}
	db->connection->server.is_notified = false;
	return db->connection->state == STATE_UP ? DB_OK : DB_UNAVAILABLE;
}
