/* Statements, transactions, the statement in the background, notifications. */
#include "session/db_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A statement whose answer is read by db_service(). While it is sent, the connection is up. */
struct background {
	const struct db_statement *statement; /* NULL: none is under way, and no answer waits to be taken */
	struct db_params params;
	bool is_sent;      /* on this connection */
	bool is_preparing; /* and it is being prepared first */
	bool is_done;
	int attempts;
	int connects;          /* that failed while it waited */
	int64_t connect_until; /* then no further one is begun for it; 0: none has failed */
	int64_t deadline;      /* of the exchange */
	enum db_status status;
	PGresult *pg;
};

struct db {
	struct db_connection *connection;
	enum db_status transaction_failure; /* DB_OK until one of its statements fails; cleared by its end */
	struct background background;
};

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

static enum db_status note_failure(struct db *db, bool in_transaction, enum db_status status)
{
	if (in_transaction)
		db->transaction_failure = status;
	return status;
}

/* As db_classify_result(), of a statement outside a transaction when `is_alone`. */
static enum db_answer conclude(struct db *db, const PGresult *pg, const char *what, bool is_alone,
                               enum db_status *status)
{
	enum db_answer answer = db_classify_result(db->connection, pg, what, status);

	if (answer == DB_ANSWER_OK && is_alone && db_connection_is_read_only(db->connection) &&
	    !db->connection->was_read_only) {
		/* There may be another primary by now, and the answer may be outdated. */
		db_connection_set_problem(db->connection, "the server has become read-only");
		db_connection_drop(db->connection);
		return DB_ANSWER_AGAIN;
	}
	return answer;
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
			answer = conclude(db, *pg, statement != NULL ? statement->name : "script", !in_transaction,
			                  &status);
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

static bool is_background_pending(const struct db *db)
{
	return db->background.statement != NULL && !db->background.is_done;
}

/* The connection is needed for a statement that the caller waits for. */
static void await_background(struct db *db)
{
	int64_t began;

	if (!is_background_pending(db))
		return;
	began = clock_monotonic_us();
	while (is_background_pending(db)) {
		(void)db_connection_wait_socket(db->connection, db_wait_ms(db));
		db_service(db);
	}
	db->connection->waited_us += clock_monotonic_us() - began;
}

enum db_status db_connect(struct db *db)
{
	await_background(db);
	return db_connection_open(db->connection) ? DB_OK : DB_UNAVAILABLE;
}

enum db_status db_reconnect(struct db *db)
{
	await_background(db);
	return db_connection_open_once(db->connection) ? DB_OK : DB_UNAVAILABLE;
}

static enum db_status run_statement(struct db *db, const struct db_statement *statement, const char *sql,
                                    const struct db_params *params, PGresult **pg)
{
	bool in_transaction = db->connection->server.in_transaction;

	*pg = NULL;
	if (db->transaction_failure != DB_OK)
		return db->transaction_failure;
	await_background(db);
	return note_failure(db, in_transaction, run_again(db, statement, sql, params, pg));
}

/* Takes over `pg`; without `result` its rows are dropped. */
static enum db_status wrap_result(struct db *db, TALLOC_CTX *ctx, PGresult *pg, struct db_result **result)
{
	if (result == NULL) {
		PQclear(pg);
		return DB_OK;
	}
	*result = db_result_new(ctx, pg);
	return *result != NULL ? DB_OK : db_out_of_memory(db);
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
	return status == DB_OK ? wrap_result(db, ctx, pg, result) : status;
}

enum db_status db_execute_text(struct db *db, const char *sql, size_t count, const char *const values[])
{
	enum db_status status = DB_CONFLICT;
	PGresult *pg = NULL;
	enum db_exchange exchange;

	if (count > DB_PARAMS_MAX) {
		db_connection_set_problem(db->connection, "too many parameters");
		return DB_ERROR;
	}
	if (db->transaction_failure != DB_OK)
		return db->transaction_failure;
	if (PQsendQueryParams(db->connection->conn, sql, (int)count, NULL, values, NULL, NULL, 0) != 1) {
		db_connection_lost(db->connection);
		return note_failure(db, true, DB_CONFLICT);
	}
	exchange = db_await_result(db->connection, &pg);
	if (exchange == ANSWERED)
		(void)db_classify_result(db->connection, pg, "receiver's statement", &status);
	PQclear(pg);
	return note_failure(db, true, exchange == OVERDUE ? DB_UNAVAILABLE : status);
}

enum db_status db_script(struct db *db, const char *sql)
{
	PGresult *pg;
	enum db_status status = run_statement(db, NULL, sql, NULL, &pg);

	PQclear(pg);
	return status;
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
	status = db_script(db, sql);
	db->connection->server.in_transaction = status == DB_OK;
	return status;
}

enum db_status db_commit(struct db *db)
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
	if (db_classify_result(db->connection, pg, "COMMIT", &status) == DB_ANSWER_AGAIN)
		status = DB_UNKNOWN;
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

void db_rollback(struct db *db)
{
	PGresult *pg = NULL;

	db->transaction_failure = DB_OK;
	if (db->connection->state != STATE_UP || !db->connection->server.in_transaction) {
		db->connection->server.in_transaction = false;
		return;
	}
	if (db_exchange_script(db->connection, "ROLLBACK", &pg) == ANSWERED && PQresultStatus(pg) != PGRES_COMMAND_OK)
		db_connection_drop(db->connection);
	PQclear(pg);
	db->connection->server.in_transaction = false;
}

/* ---- A statement in the background -------------------------------------------------------------------------- */

static void forget_background_exchange(struct background *background)
{
	background->is_sent = false;
	PQclear(background->pg);
	background->pg = NULL;
}

static void finish_background(struct db *db, enum db_status status, PGresult *pg)
{
	db->background.is_sent = false;
	db->background.is_done = true;
	db->background.status = status;
	db->background.pg = pg;
}

/* The connection was lost or dropped: the statement is sent again on a new one, when an attempt is right at once. */
static void repeat_background(struct db *db)
{
	forget_background_exchange(&db->background);
	if (++db->background.attempts >= DB_ATTEMPTS || db->connection->failures > 0)
		finish_background(db, DB_UNAVAILABLE, NULL);
	else if (db->connection->state == STATE_DOWN)
		db_connection_start(db->connection);
}

static void lose_background(struct db *db)
{
	counters_add(db->connection->config.counters, COUNTER_DATABASE_ERRORS);
	db_connection_lost(db->connection);
	repeat_background(db);
}

static void send_background(struct db *db)
{
	struct background *background = &db->background;
	bool is_queued;

	background->is_preparing = !db_is_prepared(db->connection, background->statement);
	background->deadline = db_exchange_deadline(db->connection);
	is_queued = background->is_preparing
	                    ? db_send_prepare(db->connection, background->statement)
	                    : db_send_statement(db->connection, background->statement, &background->params);
	/* It is so little that an idle connection takes it at once. */
	if (is_queued && PQflush(db->connection->conn) == 0)
		background->is_sent = true;
	else
		lose_background(db);
}

/* The last result is here. */
static void conclude_background(struct db *db, PGresult *pg)
{
	struct background *background = &db->background;
	enum db_status status;
	enum db_answer answer = conclude(db, pg, background->statement->name, true, &status);

	counters_add(db->connection->config.counters, COUNTER_DATABASE_ROUND_TRIPS);
	if (answer == DB_ANSWER_OK && !background->is_preparing) {
		finish_background(db, DB_OK, pg);
		return;
	}
	PQclear(pg);
	if (answer == DB_ANSWER_OK) {
		db_note_prepared(db->connection, background->statement);
		send_background(db);
	} else if (answer == DB_ANSWER_AGAIN) {
		repeat_background(db);
	} else {
		finish_background(db, status, NULL);
	}
}

static void read_background(struct db *db)
{
	PGresult *pg = NULL;

	if (PQconsumeInput(db->connection->conn) != 1) {
		lose_background(db);
		return;
	}
	while (!PQisBusy(db->connection->conn)) {
		PGresult *next = PQgetResult(db->connection->conn);

		if (next == NULL && db->background.pg == NULL) {
			lose_background(db);
			return;
		}
		if (next == NULL) {
			pg = db->background.pg;
			db->background.pg = NULL;
			db->connection->was_stuck = false;
			db_take_notifications(db->connection);
			conclude_background(db, pg);
			return;
		}
		PQclear(db->background.pg);
		db->background.pg = next;
	}
	if (clock_until_ms(db->background.deadline) > 0)
		return;
	db_connection_leave_stuck(db->connection);
	repeat_background(db);
}

/* An attempt failed while the statement waited. A server that has just lost one connection may lose the next, too. */
static void connect_again_for_background(struct db *db)
{
	struct background *background = &db->background;

	if (background->connect_until == 0)
		background->connect_until = db->connection->deadline;
	if (++background->connects < DB_ATTEMPTS && clock_until_ms(background->connect_until) > 0)
		db_connection_start(db->connection);
	else
		finish_background(db, DB_UNAVAILABLE, NULL);
}

/* Go on as far as the connection's state allows. The connection does not call back when its state changes. */
static void advance_background(struct db *db)
{
	while (is_background_pending(db)) {
		if (db->connection->state == STATE_UP && !db->background.is_sent)
			send_background(db);
		else if (db->connection->state == STATE_DOWN)
			connect_again_for_background(db);
		else
			return;
	}
}

int db_wait_ms(const struct db *db)
{
	return db->background.is_sent ? clock_until_ms(db->background.deadline) : db_connection_wait_ms(db->connection);
}

void db_service(struct db *db)
{
	if (db->background.is_sent)
		read_background(db);
	else
		db_connection_service(db->connection);
	advance_background(db);
}

void db_start(struct db *db, const struct db_statement *statement, const struct db_value values[], size_t count)
{
	struct background *background = &db->background;

	if (background->statement != NULL || db->connection->server.in_transaction)
		abort();
	*background = (struct background){.statement = statement};
	db_params_encode(&background->params, values, count);
	/* A statement does not wait for attempts that keep failing. */
	if (db->connection->state != STATE_UP && db->connection->failures > 0)
		finish_background(db, DB_UNAVAILABLE, NULL);
	else if (db->connection->state == STATE_DOWN)
		db_connection_start(db->connection);
	advance_background(db);
}

bool db_is_started(const struct db *db)
{
	return db->background.statement != NULL;
}

bool db_is_done(const struct db *db)
{
	return db->background.is_done;
}

enum db_status db_finish(struct db *db, TALLOC_CTX *ctx, struct db_result **result)
{
	PGresult *pg = db->background.pg;
	enum db_status status = db->background.status;

	db->background.statement = NULL;
	db->background.is_done = false;
	db->background.pg = NULL;
	return status == DB_OK ? wrap_result(db, ctx, pg, result) : status;
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
