/* Statements of modules: values and rows as text, prepared by their text, sent a second time only when that is safe. */
#include "session/db_private.h"

#include "session/db_cache.h"

#include <poll.h>
#include <stdio.h>

void db_set_time_limit(struct db *db, int64_t until_ms)
{
	db->connection->time_limit = until_ms;
}

/* Of one statement's rows. As much as a request's body may have. */
#define ROWS_SIZE_MAX ((size_t)16 << 20)

/* A statement, and what came of sending it. */
struct text {
	const char *sql;
	int count;
	const char *const *values;
	bool is_old;  /* it was prepared before */
	bool is_sent; /* the server may have carried it out */
	PGresult *pg;
};

static void forget_result(struct text *text)
{
	PQclear(text->pg);
	text->pg = NULL;
}

/*
 * A server that has gone has told so by now, as a rule: it is known before anything is sent. What it has said is for
 * the next exchange to read.
 */
static void notice_loss(struct db_connection *connection)
{
	struct pollfd readable = {.fd = PQsocket(connection->conn), .events = POLLIN};

	if (poll(&readable, 1, 0) > 0)
		db_connection_service(connection);
}

/* The one that was used least recently makes room. Returns ANSWERED when there is room. */
static enum db_exchange make_room(struct db_connection *connection)
{
	char name[DB_CACHE_NAME_SIZE];
	char sql[sizeof name + sizeof "DEALLOCATE "];
	enum db_exchange exchange;
	PGresult *pg;

	if (!db_cache_evict(connection->cache, name))
		return ANSWERED;
	(void)snprintf(sql, sizeof sql, "DEALLOCATE %s", name);
	exchange = db_exchange_script(connection, sql, &pg);
	PQclear(pg);
	return exchange;
}

/* text->pg is NULL when it is prepared, else what the server has against it. */
static enum db_exchange prepare(struct db_connection *connection, struct text *text)
{
	char name[DB_CACHE_NAME_SIZE];
	enum db_exchange exchange = make_room(connection);

	if (exchange != ANSWERED)
		return exchange;
	db_cache_new_name(connection->cache, name);
	if (PQsendPrepare(connection->conn, name, text->sql, 0, NULL) != 1) {
		db_connection_lost(connection);
		return LOST;
	}
	exchange = db_await_result(connection, &text->pg);
	if (exchange != ANSWERED || PQresultStatus(text->pg) != PGRES_COMMAND_OK)
		return exchange;
	forget_result(text);
	if (db_cache_add(connection->cache, text->sql, name))
		return ANSWERED;
	db_connection_set_problem(connection, "out of memory");
	db_connection_drop(connection);
	return LOST;
}

static enum db_exchange exchange_text(struct db_connection *connection, struct text *text)
{
	const char *name = NULL;
	int sent;

	if (connection->config.prepare) {
		name = db_cache_find(connection->cache, text->sql);
		text->is_old = name != NULL;
		if (name == NULL) {
			enum db_exchange exchange = prepare(connection, text);

			if (exchange != ANSWERED || text->pg != NULL)
				return exchange;
			name = db_cache_find(connection->cache, text->sql);
		}
	}
	text->is_sent = true;
	sent = name != NULL
	               ? PQsendQueryPrepared(connection->conn, name, text->count, text->values, NULL, NULL, 0)
	               : PQsendQueryParams(connection->conn, text->sql, text->count, NULL, text->values, NULL, NULL, 0);
	if (sent != 1) {
		db_connection_lost(connection);
		return LOST;
	}
	return db_await_result(connection, &text->pg);
}

/* Once. AGAIN: it has not been carried out, and a new connection may be of more use. */
static enum db_answer run_once(struct db_connection *connection, struct text *text, enum db_status *status)
{
	enum db_exchange exchange;
	enum db_answer answer;

	*status = DB_UNAVAILABLE;
	text->is_sent = text->is_old = false;
	exchange = exchange_text(connection, text);
	if (exchange == ANSWERED) {
		answer = db_classify_text(connection, text->pg, text->is_old, status);
		if (answer != DB_ANSWER_OK)
			forget_result(text);
		return answer;
	}
	connection->failure = (struct db_failure){0};
	return text->is_sent || exchange == OVERDUE ? DB_ANSWER_FINAL : DB_ANSWER_AGAIN;
}

static enum db_status run_alone(struct db_connection *connection, struct text *text)
{
	enum db_status status = DB_UNAVAILABLE;

	for (int attempt = 0; attempt < DB_ATTEMPTS; attempt++) {
		if (connection->state == STATE_UP)
			notice_loss(connection);
		if (!db_connection_ensure(connection) || run_once(connection, text, &status) != DB_ANSWER_AGAIN)
			return status;
	}
	return DB_UNAVAILABLE;
}

/* A transaction whose connection is lost is rolled back: nothing of it remains. */
static enum db_status run_in_transaction(struct db_connection *connection, struct text *text)
{
	enum db_status status;
	enum db_answer answer = run_once(connection, text, &status);
	bool is_lost = connection->state != STATE_UP && !db_is_too_late(connection) && !connection->was_stuck;

	return answer == DB_ANSWER_AGAIN || (status == DB_UNAVAILABLE && is_lost) ? DB_CONFLICT : status;
}

/* It has been read by then, by libpq: this keeps the worker from holding it, and its module from reckoning with it. */
static bool is_too_much(struct db_connection *connection, struct text *text)
{
	if (PQresultMemorySize(text->pg) <= ROWS_SIZE_MAX)
		return false;
	forget_result(text);
	connection->failure = (struct db_failure){0};
	db_connection_set_problem(connection, "its rows take more than 16 MiB: it wants a LIMIT");
	return true;
}

bool db_is_text_prepared(struct db *db, const char *sql)
{
	return db_cache_find(db->connection->cache, sql) != NULL;
}

enum db_status db_run_text(struct db *db, TALLOC_CTX *ctx, const char *sql, size_t count, const char *const values[],
                           struct db_result **result)
{
	struct db_connection *connection = db->connection;
	bool in_transaction = connection->server.in_transaction;
	struct text text = {.sql = sql, .count = (int)count, .values = values};
	enum db_status status;

	if (result != NULL)
		*result = NULL;
	if (db->transaction_failure != DB_OK)
		return db->transaction_failure;
	if (db_is_too_late(connection)) {
		connection->failure = (struct db_failure){0};
		db_connection_set_problem(connection, DB_TOO_LATE);
		return db_note_failure(db, in_transaction, DB_UNAVAILABLE);
	}
	db_await_background(db);
	status = in_transaction ? run_in_transaction(connection, &text) : run_alone(connection, &text);
	if (status == DB_OK && result != NULL && is_too_much(connection, &text))
		status = DB_ERROR;
	if (status != DB_OK)
		return db_note_failure(db, in_transaction, status);
	return db_take_result(connection, ctx, text.pg, result);
}
