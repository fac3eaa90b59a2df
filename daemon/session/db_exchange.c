/* One exchange with the server: send, wait for the answer and no longer than its deadline. */
#include "session/db_private.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

static enum db_exchange lost(struct db_connection *connection)
{
	db_connection_lost(connection);
	return LOST;
}

bool db_is_too_late(const struct db_connection *connection)
{
	return connection->time_limit != 0 && clock_monotonic_ms() >= connection->time_limit;
}

int64_t db_exchange_deadline(const struct db_connection *connection)
{
	int64_t deadline = clock_monotonic_ms() + connection->config.statement_timeout_ms + DB_STATEMENT_GRACE_MS;

	return connection->time_limit != 0 && connection->time_limit < deadline ? connection->time_limit : deadline;
}

/* No answer by the deadline. That the caller's own time is over tells nothing about the server. */
static enum db_exchange leave_overdue(struct db_connection *connection)
{
	if (db_is_too_late(connection)) {
		db_connection_set_problem(connection, DB_TOO_LATE);
		db_connection_drop(connection);
	} else {
		db_connection_leave_stuck(connection);
	}
	return OVERDUE;
}

/* It would be waited for for ever: what is to be copied has no way here. */
static bool is_copy(const PGresult *pg)
{
	ExecStatusType status = PQresultStatus(pg);

	return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* Bring everything that was queued to the server and wait for its last result, which is stored in *pg. */
static enum db_exchange wait_for_result(struct db_connection *connection, PGresult **pg)
{
	int64_t deadline = db_exchange_deadline(connection);
	PGresult *next;
	int unsent;

	*pg = NULL;
	for (;;) {
		struct pollfd poll_fd = {.fd = PQsocket(connection->conn), .events = POLLIN};
		int ready;

		unsent = PQflush(connection->conn);
		if (unsent < 0)
			goto lost;
		while (unsent == 0 && !PQisBusy(connection->conn)) {
			next = PQgetResult(connection->conn);
			if (next == NULL) {
				if (*pg == NULL)
					goto lost;
				return ANSWERED;
			}
			PQclear(*pg);
			*pg = next;
			if (is_copy(next))
				goto copy;
		}
		if (unsent == 1)
			poll_fd.events |= POLLOUT;
		ready = poll(&poll_fd, 1, clock_until_ms(deadline));
		if (ready < 0 && errno != EINTR)
			goto lost;
		if (ready == 0) {
			PQclear(*pg);
			*pg = NULL;
			return leave_overdue(connection);
		}
		if (ready > 0 && PQconsumeInput(connection->conn) != 1)
			goto lost;
	}
lost:
	PQclear(*pg);
	*pg = NULL;
	return lost(connection);
copy:
	PQclear(*pg);
	*pg = NULL;
	db_connection_set_problem(connection, "COPY to or from the client is not possible here");
	db_connection_drop(connection);
	return LOST;
}

void db_take_notifications(struct db_connection *connection)
{
	PGnotify *notify;

	while ((notify = PQnotifies(connection->conn)) != NULL) {
		connection->server.is_notified = true;
		PQfreemem(notify);
	}
}

enum db_exchange db_await_result(struct db_connection *connection, PGresult **pg)
{
	int64_t began = clock_monotonic_us();
	enum db_exchange exchange = wait_for_result(connection, pg);

	connection->waited_us += clock_monotonic_us() - began;
	counters_add(connection->config.counters, COUNTER_DATABASE_ROUND_TRIPS);
	if (exchange != ANSWERED) {
		counters_add(connection->config.counters, COUNTER_DATABASE_ERRORS);
		return exchange;
	}
	connection->was_stuck = false;
	db_take_notifications(connection);
	return ANSWERED;
}

bool db_is_prepared(const struct db_connection *connection, const struct db_statement *statement)
{
	if (!connection->config.prepare)
		return true;
	for (size_t i = 0; i < connection->server.prepared_count; i++) {
		if (connection->server.prepared[i] == statement)
			return true;
	}
	return false;
}

void db_note_prepared(struct db_connection *connection, const struct db_statement *statement)
{
	if (connection->server.prepared_count == DB_PREPARED_MAX)
		abort();
	connection->server.prepared[connection->server.prepared_count++] = statement;
}

bool db_send_prepare(struct db_connection *connection, const struct db_statement *statement)
{
	return PQsendPrepare(connection->conn, statement->name, statement->sql, 0, NULL) == 1;
}

bool db_send_statement(struct db_connection *connection, const struct db_statement *statement,
                       const struct db_params *params)
{
	if (connection->config.prepare)
		return PQsendQueryPrepared(connection->conn, statement->name, params->count, params->values,
		                           params->lengths, params->formats, 1) == 1;
	return PQsendQueryParams(connection->conn, statement->sql, params->count, NULL, params->values, params->lengths,
	                         params->formats, 1) == 1;
}

static enum db_exchange prepare(struct db_connection *connection, const struct db_statement *statement, PGresult **pg)
{
	enum db_exchange exchange;

	if (!db_send_prepare(connection, statement))
		return lost(connection);
	exchange = db_await_result(connection, pg);
	if (exchange == ANSWERED && PQresultStatus(*pg) == PGRES_COMMAND_OK)
		db_note_prepared(connection, statement);
	return exchange;
}

enum db_exchange db_exchange_statement(struct db_connection *connection, const struct db_statement *statement,
                                       const struct db_params *params, PGresult **pg)
{
	*pg = NULL;
	if (!db_is_prepared(connection, statement)) {
		enum db_exchange exchange = prepare(connection, statement, pg);

		if (exchange != ANSWERED || PQresultStatus(*pg) != PGRES_COMMAND_OK)
			return exchange;
		PQclear(*pg);
		*pg = NULL;
	}
	if (!db_send_statement(connection, statement, params))
		return lost(connection);
	return db_await_result(connection, pg);
}

enum db_exchange db_exchange_script(struct db_connection *connection, const char *sql, PGresult **pg)
{
	*pg = NULL;
	if (PQsendQuery(connection->conn, sql) != 1)
		return lost(connection);
	return db_await_result(connection, pg);
}
