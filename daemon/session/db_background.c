/* The statement in the background: sent without waiting, its answer read by db_service(). */
#include "session/db_private.h"

#include "base/clock.h"

#include <stdlib.h>

static bool is_background_pending(const struct db *db)
{
	return db->background.statement != NULL && !db->background.is_done;
}

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
	enum db_answer answer = db_conclude(db->connection, pg, background->statement->name, true, &status);

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
	return status == DB_OK ? db_take_result(db->connection, ctx, pg, result) : status;
}

/* The connection is needed for a statement that the caller waits for. */
void db_await_background(struct db *db)
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
