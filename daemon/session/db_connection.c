/* The connection machine: states, attempts, hosts in turn, startup query, keepalives, socket and deadlines. */
#include "session/db_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "session/conninfo.h"
#include "session/db_cache.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 1000
/*
 * A connection that was idle for so long is probed, unless conninfo says otherwise: firewalls forget those that are
 * idle for some minutes, and then drop their packets without an answer.
 */
#define KEEPALIVES_IDLE_S     "60"
#define KEEPALIVES_INTERVAL_S "10"
/* A packet that is lost is sent again after some tenths of a second. */
#define USER_TIMEOUT_MIN_MS 1000

/* libpq's lists of hosts, which belong together: as many members each, but for one port for all. */
struct db_hosts {
	char *host, *hostaddr, *port;
	int count;
};

static int connection_destroy(struct db_connection *connection)
{
	PQfinish(connection->conn);
	return 0;
}

struct db_connection *db_connection_new(TALLOC_CTX *ctx, const struct db_config *config)
{
	struct db_connection *connection = talloc_zero(ctx, struct db_connection);

	if (connection == NULL)
		return NULL;
	connection->config = *config;
	connection->config.conninfo = talloc_strdup(connection, config->conninfo);
	connection->config.application_name = talloc_strdup(connection, config->application_name);
	connection->cache = db_cache_new(connection);
	if (connection->config.conninfo == NULL || connection->config.application_name == NULL ||
	    connection->cache == NULL) {
		talloc_free(connection);
		return NULL;
	}
	talloc_set_destructor(connection, connection_destroy);
	return connection;
}

void db_connection_set_problem(struct db_connection *connection, const char *text)
{
	size_t length = strcspn(text, "\n");

	if (length >= sizeof connection->problem)
		length = sizeof connection->problem - 1;
	memcpy(connection->problem, text, length);
	connection->problem[length] = '\0';
}

void db_connection_drop(struct db_connection *connection)
{
	bool was_up = connection->state == STATE_UP;

	PQfinish(connection->conn);
	connection->conn = NULL;
	connection->state = STATE_DOWN;
	connection->server = (struct db_server_state){0};
	db_cache_clear(connection->cache);
	if (was_up) {
		connection->failures = 0;
		connection->retry_at = clock_monotonic_ms();
	}
}

/* *rotated is `list` with its first member moved to its end, if it has several. False when out of memory. */
static bool rotate_list(struct db_hosts *hosts, const char *list, char **rotated)
{
	const char *comma = strchr(list, ',');
	int count = 1;

	for (const char *at = comma; at != NULL; at = strchr(at + 1, ','))
		count++;
	if (count > hosts->count)
		hosts->count = count;
	if (comma != NULL)
		*rotated = talloc_asprintf(hosts, "%s,%.*s", comma + 1, (int)(comma - list), list);
	return comma == NULL || *rotated != NULL;
}

/*
 * libpq goes on to the next host only when a host has answered or refused: with the deadline of an attempt, a silent
 * host would keep it from the others for ever. So each attempt begins with the next host.
 */
static void rotate_hosts(struct db_connection *connection)
{
	PQconninfoOption *options = connection->conn != NULL ? PQconninfo(connection->conn) : NULL;
	struct db_hosts *hosts = talloc_zero(connection, struct db_hosts);
	bool done = options != NULL && hosts != NULL;

	for (const PQconninfoOption *option = options; done && option->keyword != NULL; option++) {
		if (option->val == NULL)
			continue;
		if (strcmp(option->keyword, "host") == 0)
			done = rotate_list(hosts, option->val, &hosts->host);
		else if (strcmp(option->keyword, "hostaddr") == 0)
			done = rotate_list(hosts, option->val, &hosts->hostaddr);
		else if (strcmp(option->keyword, "port") == 0)
			done = rotate_list(hosts, option->val, &hosts->port);
	}
	PQconninfoFree(options);
	if (!done) {
		talloc_free(hosts);
		return;
	}
	talloc_free(connection->hosts);
	connection->hosts = hosts;
}

static void attempt_failed(struct db_connection *connection)
{
	int64_t wait = RETRY_MAX_MS;

	rotate_hosts(connection);
	if (connection->failures < 4)
		wait = RETRY_MIN_MS << connection->failures;
	if (wait > RETRY_MAX_MS)
		wait = RETRY_MAX_MS;
	counters_add(connection->config.counters, COUNTER_DATABASE_ERRORS);
	if (connection->failures == 0 && !connection->config.is_quiet)
		log_warning("database_unavailable", LOG_STR("problem", connection->problem));
	connection->failures++;
	db_connection_drop(connection);
	connection->retry_at = clock_monotonic_ms() + wait;
}

/* A notice of the server can hold values, and libpq would write it to standard error past the log. */
static void note_notice(void *context, const PGresult *pg)
{
	const char *sqlstate = PQresultErrorField(pg, PG_DIAG_SQLSTATE);
	const char *severity = PQresultErrorField(pg, PG_DIAG_SEVERITY_NONLOCALIZED);
	struct db_connection *connection = context;

	if (severity != NULL && strcmp(severity, "WARNING") == 0)
		connection->is_warned = true;
	if (severity != NULL && strcmp(severity, "FATAL") == 0)
		connection->is_ending = true;
	log_debug("database_notice", LOG_STR("sqlstate", sqlstate));
}

/* What libpq says becomes the problem, in the words that `compose` allows of it. */
static void set_libpq_problem(struct db_connection *connection,
                              char *(*compose)(TALLOC_CTX *ctx, const char *conninfo, const char *message))
{
	char *problem = compose(connection, connection->config.conninfo, PQerrorMessage(connection->conn));

	db_connection_set_problem(connection, problem != NULL ? problem : "out of memory");
	talloc_free(problem);
}

/*
 * TCP_USER_TIMEOUT: how long data that was sent may stay without an acknowledgement. connect_timeout is the time in
 * which the network has to answer, so it must not be less than that.
 */
static int64_t user_timeout_ms(const struct db_connection *connection)
{
	return connection->config.connect_timeout_ms > USER_TIMEOUT_MIN_MS ? connection->config.connect_timeout_ms
	                                                                   : USER_TIMEOUT_MIN_MS;
}

void db_connection_start(struct db_connection *connection)
{
	const struct db_hosts none = {0};
	const struct db_hosts *hosts = connection->hosts != NULL ? connection->hosts : &none;
	char user_timeout[24];
	/* A later keyword overrides an earlier one, so conninfo overrides what stands above it. NULL leaves what
	 * conninfo says. */
	const struct {
		const char *keyword, *value;
	} all[] = {
		{"keepalives_idle", KEEPALIVES_IDLE_S},
		{"keepalives_interval", KEEPALIVES_INTERVAL_S},
		{"tcp_user_timeout", user_timeout},
		{"dbname", connection->config.conninfo},
		{"fallback_application_name", connection->config.application_name},
		{"client_encoding", "UTF8"},
		{"host", hosts->host},
		{"hostaddr", hosts->hostaddr},
		{"port", hosts->port},
		{NULL, NULL},
	};
	const char *keywords[sizeof all / sizeof all[0]];
	const char *values[sizeof all / sizeof all[0]];

	(void)snprintf(user_timeout, sizeof user_timeout, "%lld", (long long)user_timeout_ms(connection));
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		keywords[i] = all[i].keyword;
		values[i] = all[i].value;
	}
	connection->watch_id++;
	connection->deadline = clock_monotonic_ms() + connection->config.connect_timeout_ms;
	connection->schema_mismatch = false;
	connection->is_ending = false;
	connection->state = STATE_CONNECTING;
	connection->waits_for = PGRES_POLLING_WRITING;
	connection->conn = PQconnectStartParams(keywords, values, 1);
	if (connection->conn == NULL) {
		db_connection_set_problem(connection, "out of memory");
		attempt_failed(connection);
	} else if (PQstatus(connection->conn) == CONNECTION_BAD) {
		set_libpq_problem(connection, conninfo_start_problem);
		attempt_failed(connection);
	} else {
		(void)PQsetNoticeReceiver(connection->conn, note_notice, connection);
	}
}

static void ask_startup_query(struct db_connection *connection, const char *sql)
{
	if (PQsendQuery(connection->conn, sql) != 1) {
		db_connection_set_problem(connection, PQerrorMessage(connection->conn));
		attempt_failed(connection);
		return;
	}
	connection->state = STATE_STARTUP;
	connection->waits_for = PGRES_POLLING_READING;
}

/*
 * What every new connection is asked before it is used: that it keeps our settings, what schema it has, and whether it
 * is a standby, which may not know yet which session was displaced a moment ago. It is asked in a transaction of two
 * round trips: a pooler of statements would let reads through and fail every login.
 */
static void send_startup_query(struct db_connection *connection)
{
	char sql[DB_STARTUP_SIZE];

	db_startup_query(connection, sql);
	connection->found_schema = 0;
	connection->is_standby = false;
	connection->is_started_up = false;
	if (PQsetnonblocking(connection->conn, 1) == 0) {
		ask_startup_query(connection, sql);
		return;
	}
	db_connection_set_problem(connection, PQerrorMessage(connection->conn));
	attempt_failed(connection);
}

bool db_connection_is_read_only(const struct db_connection *connection)
{
	const char *setting = PQparameterStatus(connection->conn, "default_transaction_read_only");

	return setting != NULL && strcmp(setting, "on") == 0;
}

static void startup_done(struct db_connection *connection)
{
	if (connection->is_standby) {
		db_connection_set_problem(connection, "the server is a standby");
		attempt_failed(connection);
		return;
	}
	if (connection->config.required_schema > 0 && connection->found_schema != connection->config.required_schema) {
		connection->schema_mismatch = true;
		(void)snprintf(connection->problem, sizeof connection->problem,
		               "the database's schema is version %d, this program needs version %d: %s",
		               connection->found_schema, connection->config.required_schema,
		               connection->found_schema < connection->config.required_schema
		                       ? "run onesessionctl migrate"
		                       : "install the newer onesession");
		attempt_failed(connection);
		return;
	}
	if (connection->failures > 0)
		log_info("database_available", LOG_INT("failed_attempts", connection->failures));
	connection->state = STATE_UP;
	connection->was_read_only = db_connection_is_read_only(connection);
	connection->failures = 0;
	connection->problem[0] = '\0';
}

static bool has_sqlstate(const PGresult *pg, const char *sqlstate)
{
	const char *found = PQresultErrorField(pg, PG_DIAG_SQLSTATE);

	return found != NULL && strcmp(found, sqlstate) == 0;
}

/* What pgbouncer says of a transaction with pool_mode = statement does not tell what to configure. */
static void set_startup_problem(struct db_connection *connection, const char *said)
{
	db_connection_set_problem(
		connection, strstr(said, "statement pooling") == NULL
				    ? said
				    : "pgbouncer has pool_mode = statement and refuses transactions, without which no "
				      "login can work: set pool_mode = transaction or session");
}

static void read_startup_answer(struct db_connection *connection)
{
	PGresult *pg;

	if (PQflush(connection->conn) < 0 || PQconsumeInput(connection->conn) != 1) {
		db_connection_set_problem(connection, PQerrorMessage(connection->conn));
		attempt_failed(connection);
		return;
	}
	while (!PQisBusy(connection->conn)) {
		pg = PQgetResult(connection->conn);
		if (pg == NULL) {
			if (PQstatus(connection->conn) != CONNECTION_OK) {
				set_startup_problem(connection, PQerrorMessage(connection->conn));
				attempt_failed(connection);
			} else if (connection->is_started_up) {
				startup_done(connection);
			} else {
				connection->is_started_up = true;
				ask_startup_query(connection, "COMMIT");
			}
			return;
		}
		/* A setting that is given by SELECT is a row of one column. */
		if (PQresultStatus(pg) == PGRES_TUPLES_OK && PQnfields(pg) == 2) {
			/* Without a row's version, 0. */
			connection->found_schema = atoi(PQgetvalue(pg, 0, 0));
			connection->is_standby = PQgetvalue(pg, 0, 1)[0] == 't';
		} else if (PQresultStatus(pg) == PGRES_FATAL_ERROR && !has_sqlstate(pg, "42P01")) {
			/* 42P01, undefined_table, is a database that was never migrated: version 0. */
			const char *message = PQresultErrorField(pg, PG_DIAG_MESSAGE_PRIMARY);

			set_startup_problem(connection, message != NULL ? message : PQerrorMessage(connection->conn));
			PQclear(pg);
			attempt_failed(connection);
			return;
		}
		PQclear(pg);
	}
}

void db_connection_lost(struct db_connection *connection)
{
	db_connection_set_problem(connection, PQerrorMessage(connection->conn));
	db_connection_drop(connection);
}

/*
 * It may be the connection that is dead and not the server, so a statement outside a transaction is worth another try
 * on a new connection. But one only: the next request would wait as long as this one.
 */
void db_connection_leave_stuck(struct db_connection *connection)
{
	bool is_another_try_right = !connection->server.in_transaction && !connection->was_stuck;

	db_connection_set_problem(connection, "the server did not answer within database.statement_timeout");
	log_error("database_stuck", LOG_STR("problem", connection->problem));
	rotate_hosts(connection);
	db_connection_drop(connection);
	connection->was_stuck = true;
	if (is_another_try_right)
		return;
	attempt_failed(connection);
}

int db_connection_socket(const struct db_connection *connection)
{
	return connection->conn == NULL ? -1 : PQsocket(connection->conn);
}

bool db_connection_wants_write(const struct db_connection *connection)
{
	return connection->state == STATE_CONNECTING && connection->waits_for == PGRES_POLLING_WRITING;
}

int db_connection_wait_ms(const struct db_connection *connection)
{
	switch (connection->state) {
	case STATE_DOWN: return clock_until_ms(connection->retry_at);
	case STATE_CONNECTING:
	case STATE_STARTUP: return clock_until_ms(connection->deadline);
	default: return -1;
	}
}

bool db_connection_wait_socket(const struct db_connection *connection, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = db_connection_socket(connection),
	                         .events = db_connection_wants_write(connection) ? POLLOUT : POLLIN};

	return poll_fd.fd >= 0 && poll(&poll_fd, 1, timeout_ms) > 0;
}

void db_connection_service(struct db_connection *connection)
{
	if (connection->state == STATE_DOWN) {
		if (clock_until_ms(connection->retry_at) > 0)
			return;
		db_connection_start(connection);
	}
	if (connection->state == STATE_CONNECTING || connection->state == STATE_STARTUP) {
		if (clock_until_ms(connection->deadline) == 0) {
			db_connection_set_problem(connection,
			                          "the server did not answer within database.connect_timeout");
			attempt_failed(connection);
			return;
		}
		if (!db_connection_wait_socket(connection, 0))
			return;
	}
	switch (connection->state) {
	case STATE_CONNECTING:
		connection->watch_id++;
		connection->waits_for = PQconnectPoll(connection->conn);
		if (connection->waits_for == PGRES_POLLING_OK) {
			send_startup_query(connection);
		} else if (connection->waits_for == PGRES_POLLING_FAILED) {
			set_libpq_problem(connection, conninfo_connect_problem);
			attempt_failed(connection);
		}
		break;
	case STATE_STARTUP: read_startup_answer(connection); break;
	case STATE_UP:
		/* Only what PQisBusy() looks at is told to note_notice(). */
		if (PQconsumeInput(connection->conn) != 1 || PQisBusy(connection->conn) != 0 || connection->is_ending ||
		    PQstatus(connection->conn) == CONNECTION_BAD) {
			db_connection_set_problem(connection, PQerrorMessage(connection->conn));
			db_connection_drop(connection);
			db_connection_start(connection);
		}
		break;
	default: break;
	}
}

bool db_connection_open_once(struct db_connection *connection)
{
	int failures = connection->failures;

	if (connection->state == STATE_DOWN)
		db_connection_start(connection);
	while (connection->state == STATE_CONNECTING || connection->state == STATE_STARTUP) {
		(void)db_connection_wait_socket(connection, clock_until_ms(connection->deadline));
		db_connection_service(connection);
		if (connection->failures != failures)
			break;
	}
	return connection->state == STATE_UP;
}

bool db_connection_open(struct db_connection *connection)
{
	int attempt = 0;

	do {
		if (db_connection_open_once(connection))
			return true;
	} while (!connection->schema_mismatch && connection->hosts != NULL && ++attempt < connection->hosts->count);
	return false;
}

bool db_connection_ensure(struct db_connection *connection)
{
	int64_t began, give_up_at;

	if (connection->state == STATE_UP)
		return true;
	/* A caller is not made to wait for attempts that keep failing: db_service() makes those. */
	if (connection->failures > 0)
		return false;
	/* A server that has just lost one connection may lose the next, too; a silent one is waited for only once. */
	began = clock_monotonic_us();
	give_up_at = clock_monotonic_ms() + connection->config.connect_timeout_ms;
	for (int attempt = 0; attempt < DB_ATTEMPTS && clock_until_ms(give_up_at) > 0; attempt++) {
		if (db_connection_open_once(connection))
			break;
	}
	connection->waited_us += clock_monotonic_us() - began;
	return connection->state == STATE_UP;
}
