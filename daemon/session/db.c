#include "session/db.h"

#include "base/clock.h"
#include "base/log.h"

#include <endian.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREPARED_MAX 128
/* How often connecting, or a statement outside a transaction, is tried when the connection breaks off. */
#define ATTEMPTS     3
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 1000
/* How long past statement_timeout the server is given to say so itself. */
#define STATEMENT_GRACE_MS 500
/*
 * A connection over which nothing was said for so long is asked whether it is still there, unless conninfo says
 * otherwise: firewalls forget those that are idle for some minutes, and drop what comes on them later without a word.
 */
#define KEEPALIVES_IDLE_S     "60"
#define KEEPALIVES_INTERVAL_S "10"
/* A packet that is lost is sent again after some tenths of a second. */
#define USER_TIMEOUT_MIN_MS 1000
/* A client that died while it held a row must not hold it for ever: the server then ends the transaction. */
#define IDLE_IN_TRANSACTION_MS 10000

/* Types as pg_type.dat numbers them; they are part of the wire protocol and do not change. */
enum {
	OID_BOOL = 16,
	OID_BYTEA = 17,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_TIMESTAMPTZ = 1184
};

/* Microseconds from 1970-01-01 to 2000-01-01, where timestamptz counts from. */
#define POSTGRES_EPOCH_US INT64_C(946684800000000)

enum db_state { STATE_DOWN, STATE_CONNECTING, STATE_GREETING, STATE_UP };

/* libpq's lists of hosts, which belong together: as many members each, but for one port for all. */
struct hosts {
	char *host, *hostaddr, *port;
	int count;
};

/* What comes before the members of an array: dimensions, whether there are NULLs, type; length, first number. */
#define ARRAY_HEADER_SIZE 20

struct wire_params {
	const char *values[DB_PARAMS_MAX];
	int lengths[DB_PARAMS_MAX];
	int formats[DB_PARAMS_MAX];
	uint64_t integers[DB_PARAMS_MAX];
	char booleans[DB_PARAMS_MAX];
	uint8_t list[ARRAY_HEADER_SIZE + DB_LIST_SIZE];
	int count;
};

/* A statement that nobody waits for in here. */
struct background {
	const struct db_statement *statement; /* NULL: none is under way, and no answer waits to be taken */
	struct wire_params wire;
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
	struct db_config config;
	PGconn *conn;
	enum db_state state;
	PostgresPollingStatusType waits_for;
	int64_t deadline; /* of the attempt under way */
	int64_t retry_at;
	int failures;        /* attempts that failed since the connection was last up */
	struct hosts *hosts; /* in the order for the next attempt; NULL: that of conninfo */
	unsigned int watch_id;
	bool is_standby;
	bool was_read_only; /* when the connection came up */
	bool is_greeted;    /* it has answered what every connection is asked; the transaction for it is to be ended */
	bool was_stuck;     /* and has not answered a statement since */
	bool is_warned;     /* by the server, since this was last set to false */
	bool in_transaction;
	enum db_status transaction_failure; /* DB_OK until one of its statements fails; cleared by its end */
	bool schema_mismatch;
	bool has_mixed_up; /* statements that were prepared, ever */
	bool is_listening; /* this connection, as far as it can be */
	bool is_notified;  /* and not told yet */
	int found_schema;
	size_t prepared_count;
	const struct db_statement *prepared[PREPARED_MAX];
	int64_t waited_us;
	struct background background;
	char problem[512];
};

struct db_result {
	PGresult *pg;
};

static int db_destroy(struct db *db)
{
	PQclear(db->background.pg);
	PQfinish(db->conn);
	return 0;
}

struct db *db_new(TALLOC_CTX *ctx, const struct db_config *config)
{
	struct db *db = talloc_zero(ctx, struct db);

	if (db == NULL)
		return NULL;
	db->config = *config;
	db->config.conninfo = talloc_strdup(db, config->conninfo);
	db->config.application_name = talloc_strdup(db, config->application_name);
	if (db->config.conninfo == NULL || db->config.application_name == NULL) {
		talloc_free(db);
		return NULL;
	}
	talloc_set_destructor(db, db_destroy);
	return db;
}

const char *db_problem(const struct db *db)
{
	return db->problem;
}

bool db_schema_mismatch(const struct db *db)
{
	return db->schema_mismatch;
}

bool db_has_mixed_up(const struct db *db)
{
	return db->has_mixed_up;
}

bool db_is_connected(const struct db *db)
{
	return db->state == STATE_UP;
}

int64_t db_waited_us(const struct db *db)
{
	return db->waited_us;
}

struct db_value db_text_value(const char *string)
{
	if (string == NULL)
		return DB_NULL;
	return (struct db_value){.type = DB_VALUE_TEXT, .data = string, .length = strlen(string)};
}

static void set_problem(struct db *db, const char *text)
{
	size_t length = strcspn(text, "\n");

	if (length >= sizeof db->problem)
		length = sizeof db->problem - 1;
	memcpy(db->problem, text, length);
	db->problem[length] = '\0';
}

/*
 * Whoever does not encode the @, / or ? of a password in a URI, or leaves the URI's beginning out, has told libpq that
 * pieces of the password are a host, a port or a database, and these are quoted when something is wrong with them. An
 * @ is left over in one of them then.
 */
static bool may_quote_password(const char *conninfo)
{
	PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);
	/* What libpq cannot parse it takes for a database's name. */
	bool may = parsed == NULL && strpbrk(conninfo, ":@") != NULL;

	for (const PQconninfoOption *option = parsed; !may && option != NULL && option->keyword != NULL; option++) {
		/* A user may have an @, and a socket without a file begins with one. */
		may = option->val != NULL && option->val[0] != '\0' && strchr(option->val + 1, '@') != NULL &&
		      strcmp(option->keyword, "user") != 0 && strcmp(option->keyword, "password") != 0;
	}
	PQconninfoFree(parsed);
	return may;
}

#define HIDDEN "..."

/* Beside a password, whatever else anything goes for may be a piece of it: one with a space in it was not quoted. */
static bool may_be_shown(const PQconninfoOption *option)
{
	static const char *const keywords[] = {"host", "hostaddr", "dbname", "user"};

	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
		if (strcmp(option->keyword, keywords[i]) == 0)
			return true;
	}
	return strcmp(option->keyword, "port") == 0 && option->val[strspn(option->val, "0123456789,")] == '\0';
}

static char *append_quoted(char *text, const char *value)
{
	if (value[0] != '\0' && strpbrk(value, " \t\r\n\v\f'\\") == NULL)
		return talloc_strdup_append(text, value);
	text = talloc_strdup_append(text, "'");
	for (; *value != '\0' && text != NULL; value++)
		text = talloc_asprintf_append(text, "%s%c", *value == '\'' || *value == '\\' ? "\\" : "", *value);
	return text != NULL ? talloc_strdup_append(text, "'") : NULL;
}

static bool has_password(const PQconninfoOption *options)
{
	/* libpq's word for values that are to be hidden. */
	for (; options->keyword != NULL; options++) {
		if (options->val != NULL && options->dispchar[0] == '*')
			return true;
	}
	return false;
}

static char *show_beside_password(TALLOC_CTX *ctx, const PQconninfoOption *options)
{
	char *text = talloc_strdup(ctx, "");

	for (; options->keyword != NULL && text != NULL; options++) {
		if (options->val == NULL)
			continue;
		text = talloc_asprintf_append(text, "%s%s=", text[0] != '\0' ? " " : "", options->keyword);
		if (text != NULL)
			text = append_quoted(text, may_be_shown(options) ? options->val : HIDDEN);
	}
	return text;
}

char *db_conninfo_shown(TALLOC_CTX *ctx, const char *conninfo)
{
	PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);
	char *text;

	if (parsed == NULL ? strpbrk(conninfo, ":@= ") != NULL : may_quote_password(conninfo))
		text = talloc_strdup(ctx, HIDDEN);
	else if (parsed != NULL && has_password(parsed))
		text = show_beside_password(ctx, parsed);
	else
		text = talloc_strdup(ctx, conninfo);
	PQconninfoFree(parsed);
	return text;
}

/* Of several hosts each has a line, and the last may be the one that matters. */
static void set_connect_problem(struct db *db)
{
	const char *text = PQerrorMessage(db->conn);
	char *lines;

	if (may_quote_password(db->config.conninfo)) {
		set_problem(db, "cannot connect, and what libpq says might quote a password: in a URI, the characters "
		                "@ : / ? # and % of a password have to be percent-encoded");
		return;
	}
	lines = talloc_strdup(db, text);
	for (char *at = lines; at != NULL && *at != '\0'; at++) {
		if (*at == '\n' && at[1] != '\0')
			*at = ';';
		else if (*at == '\t')
			*at = ' ';
	}
	set_problem(db, lines != NULL ? lines : text);
	talloc_free(lines);
}

void db_set_problem(struct db *db, const char *problem)
{
	set_problem(db, problem);
}

/* The connection is of no more use. The first loss after it was up is worth an attempt at once, see ensure_up(). */
static void drop(struct db *db)
{
	bool was_up = db->state == STATE_UP;

	if (!db->background.is_done) {
		db->background.is_sent = false;
		PQclear(db->background.pg);
		db->background.pg = NULL;
	}
	PQfinish(db->conn);
	db->conn = NULL;
	db->state = STATE_DOWN;
	db->in_transaction = false;
	db->is_listening = false;
	db->is_notified = false;
	db->prepared_count = 0;
	if (was_up) {
		db->failures = 0;
		db->retry_at = clock_monotonic_ms();
	}
}

/* *turned is `list` with its first member moved to its end, if it has several. False when out of memory. */
static bool turn(struct hosts *hosts, const char *list, char **turned)
{
	const char *comma = strchr(list, ',');
	int count = 1;

	for (const char *at = comma; at != NULL; at = strchr(at + 1, ','))
		count++;
	if (count > hosts->count)
		hosts->count = count;
	if (comma != NULL)
		*turned = talloc_asprintf(hosts, "%s,%.*s", comma + 1, (int)(comma - list), list);
	return comma == NULL || *turned != NULL;
}

/*
 * libpq goes from one host to the next only when one has answered or refused: with our deadline, one that is silent
 * would keep it from the others for ever. So each attempt begins with another one.
 */
static void turn_hosts(struct db *db)
{
	PQconninfoOption *options = db->conn != NULL ? PQconninfo(db->conn) : NULL;
	struct hosts *hosts = talloc_zero(db, struct hosts);
	bool done = options != NULL && hosts != NULL;

	for (const PQconninfoOption *option = options; done && option->keyword != NULL; option++) {
		if (option->val == NULL)
			continue;
		if (strcmp(option->keyword, "host") == 0)
			done = turn(hosts, option->val, &hosts->host);
		else if (strcmp(option->keyword, "hostaddr") == 0)
			done = turn(hosts, option->val, &hosts->hostaddr);
		else if (strcmp(option->keyword, "port") == 0)
			done = turn(hosts, option->val, &hosts->port);
	}
	PQconninfoFree(options);
	if (!done) {
		talloc_free(hosts);
		return;
	}
	talloc_free(db->hosts);
	db->hosts = hosts;
}

static void finish_background(struct db *db, enum db_status status, PGresult *pg)
{
	db->background.is_sent = false;
	db->background.is_done = true;
	db->background.status = status;
	db->background.pg = pg;
}

static bool is_background_pending(const struct db *db)
{
	return db->background.statement != NULL && !db->background.is_done;
}

static void start_attempt(struct db *db);

/* As in ensure_up(): a server that has just lost one connection may lose the next, too. */
static void connect_again_for_background(struct db *db)
{
	struct background *background = &db->background;

	if (background->connect_until == 0)
		background->connect_until = db->deadline;
	if (++background->connects < ATTEMPTS && clock_until_ms(background->connect_until) > 0)
		start_attempt(db);
	else
		finish_background(db, DB_UNAVAILABLE, NULL);
}

static void attempt_failed(struct db *db)
{
	int64_t wait = RETRY_MAX_MS;

	turn_hosts(db);
	if (db->failures < 4)
		wait = RETRY_MIN_MS << db->failures;
	if (wait > RETRY_MAX_MS)
		wait = RETRY_MAX_MS;
	counters_add(db->config.counters, COUNTER_DATABASE_ERRORS);
	if (db->failures == 0)
		log_warning("database_unavailable", LOG_STR("problem", db->problem));
	db->failures++;
	drop(db);
	db->retry_at = clock_monotonic_ms() + wait;
	if (is_background_pending(db))
		connect_again_for_background(db);
}

/* What the server says beside its answers can hold values, and would go to standard error past the log. */
static void note_notice(void *context, const PGresult *pg)
{
	const char *sqlstate = PQresultErrorField(pg, PG_DIAG_SQLSTATE);
	const char *severity = PQresultErrorField(pg, PG_DIAG_SEVERITY_NONLOCALIZED);
	struct db *db = context;

	if (severity != NULL && strcmp(severity, "WARNING") == 0)
		db->is_warned = true;
	log_debug("database_notice", LOG_STR("sqlstate", sqlstate));
}

/* libpq has found every value right, and a server is what is wrong. Its messages are never translated here. */
static bool is_of_server(const char *problem)
{
	static const char *const beginnings[] = {"connection to server ", "could not connect to server",
	                                         "could not translate host name "};

	for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
		if (strncmp(problem, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	}
	return false;
}

/* libpq quotes what it cannot read or use, and that may be a password. */
static void set_conninfo_problem(struct db *db)
{
	const char *conninfo = db->config.conninfo;
	PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);
	const char *first, *last;
	char *blanked;

	/* Anything else is a database's name. */
	if (parsed == NULL && (strchr(conninfo, '=') != NULL || strstr(conninfo, "://") != NULL))
		set_problem(db, "conninfo is neither a connection string nor a URI that libpq can read");
	else
		set_connect_problem(db);
	PQconninfoFree(parsed);
	first = strchr(db->problem, '"');
	last = strrchr(db->problem, '"');
	if (first == last || is_of_server(db->problem))
		return;
	blanked = talloc_asprintf(db, "%.*s...%s", (int)(first + 1 - db->problem), db->problem, last);
	set_problem(db, blanked != NULL ? blanked : "out of memory");
	talloc_free(blanked);
}

/*
 * How long what we send may stay without the kernel's receipt, until the connection is given up. As the time that
 * connecting may take is the one in which the network has to answer, it must not be less.
 */
static int64_t user_timeout_ms(const struct db *db)
{
	return db->config.connect_timeout_ms > USER_TIMEOUT_MIN_MS ? db->config.connect_timeout_ms
	                                                           : USER_TIMEOUT_MIN_MS;
}

static void start_attempt(struct db *db)
{
	const struct hosts none = {0};
	const struct hosts *hosts = db->hosts != NULL ? db->hosts : &none;
	char user_timeout[24];
	/* The later ones go before the earlier, so conninfo goes before what stands above it. Those that are NULL leave
	 * what it says. */
	const struct {
		const char *keyword, *value;
	} all[] = {
		{"keepalives_idle", KEEPALIVES_IDLE_S},
		{"keepalives_interval", KEEPALIVES_INTERVAL_S},
		{"tcp_user_timeout", user_timeout},
		{"dbname", db->config.conninfo},
		{"fallback_application_name", db->config.application_name},
		{"client_encoding", "UTF8"},
		{"host", hosts->host},
		{"hostaddr", hosts->hostaddr},
		{"port", hosts->port},
		{NULL, NULL},
	};
	const char *keywords[sizeof all / sizeof all[0]];
	const char *values[sizeof all / sizeof all[0]];

	(void)snprintf(user_timeout, sizeof user_timeout, "%lld", (long long)user_timeout_ms(db));
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		keywords[i] = all[i].keyword;
		values[i] = all[i].value;
	}
	db->watch_id++;
	db->deadline = clock_monotonic_ms() + db->config.connect_timeout_ms;
	db->schema_mismatch = false;
	db->state = STATE_CONNECTING;
	db->waits_for = PGRES_POLLING_WRITING;
	db->conn = PQconnectStartParams(keywords, values, 1);
	if (db->conn == NULL) {
		set_problem(db, "out of memory");
		attempt_failed(db);
	} else if (PQstatus(db->conn) == CONNECTION_BAD) {
		set_conninfo_problem(db);
		attempt_failed(db);
	} else {
		(void)PQsetNoticeReceiver(db->conn, note_notice, db);
	}
}

static void ask_greeting(struct db *db, const char *sql)
{
	if (PQsendQuery(db->conn, sql) != 1) {
		set_problem(db, PQerrorMessage(db->conn));
		attempt_failed(db);
		return;
	}
	db->state = STATE_GREETING;
	db->waits_for = PGRES_POLLING_READING;
}

/*
 * What every new connection is asked before it is used: that it keeps our settings, what schema it has, and whether it
 * is a standby, which may not know yet who has been displaced a moment ago. It is asked in a transaction of two round
 * trips, for a pooler of statements would let us read for ever, and nobody sign in.
 */
static void send_greeting(struct db *db)
{
	char settings[240] = "";
	char sql[400];

	/*
	 * A pooler that hands the server's connection on after each transaction would hand on what was SET, too.
	 * Prepared statements keep the plan that was best when they were first run: for a table that was empty then,
	 * to read all of it. Every table has an index for what is asked, and nothing runs so long that JIT is worth it;
	 * nor is there a better plan for one key than for another, which the server would look for at each request.
	 */
	if (db->config.prepare)
		(void)snprintf(settings, sizeof settings,
		               "SET statement_timeout = %lld; SET idle_in_transaction_session_timeout = %d; "
		               "SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan; ",
		               (long long)db->config.statement_timeout_ms, IDLE_IN_TRANSACTION_MS);
	(void)snprintf(sql, sizeof sql, "%sBEGIN; SELECT %s", settings,
	               db->config.required_schema > 0 ? "max(version), pg_is_in_recovery() FROM schema_migrations"
	                                              : "0, pg_is_in_recovery()");
	db->found_schema = 0;
	db->is_standby = false;
	db->is_greeted = false;
	if (PQsetnonblocking(db->conn, 1) == 0) {
		ask_greeting(db, sql);
		return;
	}
	set_problem(db, PQerrorMessage(db->conn));
	attempt_failed(db);
}

/* The server tells of it by itself, as soon as it is asked for something. */
static bool is_read_only(const struct db *db)
{
	const char *setting = PQparameterStatus(db->conn, "default_transaction_read_only");

	return setting != NULL && strcmp(setting, "on") == 0;
}

static void send_background(struct db *db);

static void greeting_done(struct db *db)
{
	if (db->is_standby) {
		set_problem(db, "the server is a standby");
		attempt_failed(db);
		return;
	}
	if (db->config.required_schema > 0 && db->found_schema != db->config.required_schema) {
		db->schema_mismatch = true;
		(void)snprintf(db->problem, sizeof db->problem,
		               "the database's schema is version %d, this program needs version %d: %s",
		               db->found_schema, db->config.required_schema,
		               db->found_schema < db->config.required_schema ? "run onesessionctl migrate"
		                                                             : "install the newer onesession");
		attempt_failed(db);
		return;
	}
	if (db->failures > 0)
		log_info("database_available", LOG_INT("failed_attempts", db->failures));
	db->state = STATE_UP;
	db->was_read_only = is_read_only(db);
	db->failures = 0;
	db->problem[0] = '\0';
	if (is_background_pending(db))
		send_background(db);
}

static bool has_sqlstate(const PGresult *pg, const char *sqlstate)
{
	const char *found = PQresultErrorField(pg, PG_DIAG_SQLSTATE);

	return found != NULL && strcmp(found, sqlstate) == 0;
}

/* What pgbouncer says of a transaction with pool_mode = statement is no word for whoever has not written it. */
static void set_greeting_problem(struct db *db, const char *said)
{
	set_problem(db, strstr(said, "statement pooling") == NULL
	                        ? said
	                        : "pgbouncer has pool_mode = statement and lets nobody have a transaction, without "
	                          "which nobody can sign in: it takes pool_mode = transaction or session");
}

static void read_greeting(struct db *db)
{
	PGresult *pg;

	if (PQflush(db->conn) < 0 || PQconsumeInput(db->conn) != 1) {
		set_problem(db, PQerrorMessage(db->conn));
		attempt_failed(db);
		return;
	}
	while (!PQisBusy(db->conn)) {
		pg = PQgetResult(db->conn);
		if (pg == NULL) {
			if (PQstatus(db->conn) != CONNECTION_OK) {
				set_greeting_problem(db, PQerrorMessage(db->conn));
				attempt_failed(db);
			} else if (db->is_greeted) {
				greeting_done(db);
			} else {
				db->is_greeted = true;
				ask_greeting(db, "COMMIT");
			}
			return;
		}
		if (PQresultStatus(pg) == PGRES_TUPLES_OK) {
			/* Without a row's version, 0. */
			db->found_schema = atoi(PQgetvalue(pg, 0, 0));
			db->is_standby = PQgetvalue(pg, 0, 1)[0] == 't';
		} else if (PQresultStatus(pg) == PGRES_FATAL_ERROR && !has_sqlstate(pg, "42P01")) {
			/* 42P01, undefined_table, is a database that was never migrated: version 0. */
			const char *message = PQresultErrorField(pg, PG_DIAG_MESSAGE_PRIMARY);

			set_greeting_problem(db, message != NULL ? message : PQerrorMessage(db->conn));
			PQclear(pg);
			attempt_failed(db);
			return;
		}
		PQclear(pg);
	}
}

int db_socket(const struct db *db)
{
	return db->conn == NULL ? -1 : PQsocket(db->conn);
}

unsigned int db_watch_id(const struct db *db)
{
	return db->watch_id;
}

bool db_wants_write(const struct db *db)
{
	return db->state == STATE_CONNECTING && db->waits_for == PGRES_POLLING_WRITING;
}

static void read_background(struct db *db);

int db_wait_ms(const struct db *db)
{
	switch (db->state) {
	case STATE_DOWN: return clock_until_ms(db->retry_at);
	case STATE_CONNECTING:
	case STATE_GREETING: return clock_until_ms(db->deadline);
	default: return db->background.is_sent ? clock_until_ms(db->background.deadline) : -1;
	}
}

static bool socket_ready(const struct db *db, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = db_socket(db), .events = db_wants_write(db) ? POLLOUT : POLLIN};

	return poll_fd.fd >= 0 && poll(&poll_fd, 1, timeout_ms) > 0;
}

void db_service(struct db *db)
{
	if (db->state == STATE_DOWN) {
		if (clock_until_ms(db->retry_at) > 0)
			return;
		start_attempt(db);
	}
	if (db->state == STATE_CONNECTING || db->state == STATE_GREETING) {
		if (clock_until_ms(db->deadline) == 0) {
			set_problem(db, "the server did not answer within database.connect_timeout");
			attempt_failed(db);
			return;
		}
		if (!socket_ready(db, 0))
			return;
	}
	switch (db->state) {
	case STATE_CONNECTING:
		db->watch_id++;
		db->waits_for = PQconnectPoll(db->conn);
		if (db->waits_for == PGRES_POLLING_OK) {
			send_greeting(db);
		} else if (db->waits_for == PGRES_POLLING_FAILED) {
			set_connect_problem(db);
			attempt_failed(db);
		}
		break;
	case STATE_GREETING: read_greeting(db); break;
	case STATE_UP:
		if (db->background.is_sent) {
			read_background(db);
		} else if (PQconsumeInput(db->conn) != 1 || PQstatus(db->conn) == CONNECTION_BAD) {
			set_problem(db, PQerrorMessage(db->conn));
			drop(db);
			start_attempt(db);
		}
		break;
	default: break;
	}
}

static bool connect_once(struct db *db)
{
	int failures = db->failures;

	if (db->state == STATE_DOWN)
		start_attempt(db);
	while (db->state == STATE_CONNECTING || db->state == STATE_GREETING) {
		(void)socket_ready(db, clock_until_ms(db->deadline));
		db_service(db);
		if (db->failures != failures)
			break;
	}
	return db->state == STATE_UP;
}

enum db_status db_reconnect(struct db *db)
{
	return connect_once(db) ? DB_OK : DB_UNAVAILABLE;
}

enum db_status db_connect(struct db *db)
{
	int attempt = 0;

	do {
		if (connect_once(db))
			return DB_OK;
	} while (!db->schema_mismatch && db->hosts != NULL && ++attempt < db->hosts->count);
	return DB_UNAVAILABLE;
}

/* A connection that was lost is made again at once, but while attempts fail nobody is made to wait for the next. */
static bool ensure_up(struct db *db)
{
	int64_t began, give_up_at;

	if (db->state == STATE_UP)
		return true;
	if (db->failures > 0)
		return false;
	/* A server that has just lost one connection may lose the next, too; one that is stuck is waited for only once.
	 */
	began = clock_monotonic_us();
	give_up_at = clock_monotonic_ms() + db->config.connect_timeout_ms;
	for (int attempt = 0; attempt < ATTEMPTS && clock_until_ms(give_up_at) > 0; attempt++) {
		if (connect_once(db))
			break;
	}
	db->waited_us += clock_monotonic_us() - began;
	return db->state == STATE_UP;
}

/* ---- One exchange with the server --------------------------------------------------------------------------- */

/* How an exchange ended that got no answer: LOST is worth another try on a new connection, OVERDUE one at the most. */
enum exchange { ANSWERED, LOST, OVERDUE };

static enum exchange connection_lost(struct db *db)
{
	set_problem(db, PQerrorMessage(db->conn));
	drop(db);
	return LOST;
}

/*
 * It may be the connection that is dead and not the server, so what no transaction is lost with is worth another try,
 * on a new connection. But one only: the next request would wait as long as this one.
 */
static void leave_stuck(struct db *db)
{
	bool is_another_try_right = !db->in_transaction && !db->was_stuck;

	set_problem(db, "the server did not answer within database.statement_timeout");
	log_error("database_stuck", LOG_STR("problem", db->problem));
	turn_hosts(db);
	drop(db);
	db->was_stuck = true;
	if (is_another_try_right)
		return;
	if (is_background_pending(db))
		finish_background(db, DB_UNAVAILABLE, NULL);
	attempt_failed(db);
}

/* Bring everything that was queued to the server and wait for its last result, which is stored in *pg. */
static enum exchange wait_for_result(struct db *db, PGresult **pg)
{
	int64_t deadline = clock_monotonic_ms() + db->config.statement_timeout_ms + STATEMENT_GRACE_MS;
	PGresult *next;
	int unsent;

	*pg = NULL;
	for (;;) {
		struct pollfd poll_fd = {.fd = PQsocket(db->conn), .events = POLLIN};
		int ready;

		unsent = PQflush(db->conn);
		if (unsent < 0)
			goto lost;
		while (unsent == 0 && !PQisBusy(db->conn)) {
			next = PQgetResult(db->conn);
			if (next == NULL) {
				if (*pg == NULL)
					goto lost;
				return ANSWERED;
			}
			PQclear(*pg);
			*pg = next;
		}
		if (unsent == 1)
			poll_fd.events |= POLLOUT;
		ready = poll(&poll_fd, 1, clock_until_ms(deadline));
		if (ready < 0 && errno != EINTR)
			goto lost;
		if (ready == 0) {
			PQclear(*pg);
			*pg = NULL;
			leave_stuck(db);
			return OVERDUE;
		}
		if (ready > 0 && PQconsumeInput(db->conn) != 1)
			goto lost;
	}
lost:
	PQclear(*pg);
	*pg = NULL;
	return connection_lost(db);
}

/*
 * That something was told is all that counts. libpq keeps notifications until they are taken, also those of a channel
 * that somebody else has sent LISTEN for on a connection which a pooler has handed on to us.
 */
static void take_notifications(struct db *db)
{
	PGnotify *notify;

	while ((notify = PQnotifies(db->conn)) != NULL) {
		db->is_notified = true;
		PQfreemem(notify);
	}
}

static enum exchange await_result(struct db *db, PGresult **pg)
{
	int64_t began = clock_monotonic_us();
	enum exchange exchange = wait_for_result(db, pg);

	db->waited_us += clock_monotonic_us() - began;
	counters_add(db->config.counters, COUNTER_DATABASE_ROUND_TRIPS);
	if (exchange != ANSWERED) {
		counters_add(db->config.counters, COUNTER_DATABASE_ERRORS);
		return exchange;
	}
	db->was_stuck = false;
	take_notifications(db);
	return ANSWERED;
}

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

enum verdict { VERDICT_OK, VERDICT_AGAIN, VERDICT_STATUS };

/* Judge a result; AGAIN means that a new connection, which has been made room for, may give a better one. */
static enum verdict judge(struct db *db, const PGresult *pg, const char *what, enum db_status *status)
{
	const char *sqlstate;
	const char *message;

	switch (PQresultStatus(pg)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY: *status = DB_OK; return VERDICT_OK;
	default: break;
	}
	counters_add(db->config.counters, COUNTER_DATABASE_ERRORS);
	sqlstate = PQresultErrorField(pg, PG_DIAG_SQLSTATE);
	if (sqlstate == NULL)
		sqlstate = PQstatus(db->conn) == CONNECTION_BAD ? "08006" : "XX000";
	message = PQresultErrorField(pg, PG_DIAG_MESSAGE_PRIMARY);
	(void)snprintf(db->problem, sizeof db->problem, "%s (SQLSTATE %s)", message != NULL ? message : "no answer",
	               sqlstate);
	db->has_mixed_up |= means_mixed_up(sqlstate);
	if (means_mixed_up(sqlstate))
		log_error("prepared_statements_mixed_up", LOG_STR("problem", db->problem),
		          LOG_STR("hint", "behind a pooler of transactions set database.prepare = off"));
	if (means_lost(sqlstate) || means_stale(sqlstate)) {
		*status = DB_CONFLICT;
		drop(db);
		return VERDICT_AGAIN;
	}
	/* 23503: the account that a row belongs to was deleted a moment ago; seen anew, there is nothing to be done. */
	if (is_sqlstate_class(sqlstate, "40") || strcmp(sqlstate, "23503") == 0) {
		*status = DB_CONFLICT;
	} else if (strcmp(sqlstate, "23505") == 0) {
		*status = DB_DUPLICATE;
	} else if (strcmp(sqlstate, "57014") == 0 || is_sqlstate_class(sqlstate, "53") ||
	           strcmp(sqlstate, "55P03") == 0) {
		*status = DB_UNAVAILABLE;
		log_error("database_refused", LOG_STR("statement", what), LOG_STR("problem", db->problem));
	} else {
		*status = DB_ERROR;
		log_error("database_error", LOG_STR("statement", what), LOG_STR("problem", db->problem));
	}
	return VERDICT_STATUS;
}

static size_t put_word(uint8_t *to, size_t value)
{
	const uint32_t word = htobe32((uint32_t)value);

	memcpy(to, &word, sizeof word);
	return sizeof word;
}

/* As array_recv() of PostgreSQL reads it. Returns its size. */
static size_t encode_list(uint8_t list[], const struct db_value *value)
{
	size_t count = (size_t)value->number;
	const uint8_t *member = value->data;
	size_t used = 0;

	if (count * (value->length + sizeof(uint32_t)) > DB_LIST_SIZE)
		abort();
	used += put_word(list + used, 1);
	used += put_word(list + used, 0);
	used += put_word(list + used, OID_BYTEA);
	used += put_word(list + used, count);
	used += put_word(list + used, 1);
	for (size_t i = 0; i < count; i++) {
		used += put_word(list + used, value->length);
		memcpy(list + used, member + i * value->length, value->length);
		used += value->length;
	}
	return used;
}

static void encode(struct wire_params *wire, const struct db_value values[], size_t count)
{
	if (count > DB_PARAMS_MAX)
		abort();
	wire->count = (int)count;
	for (size_t i = 0; i < count; i++) {
		const struct db_value *value = &values[i];

		wire->formats[i] = 1;
		wire->values[i] = value->data;
		wire->lengths[i] = (int)value->length;
		switch (value->type) {
		case DB_VALUE_NULL: wire->values[i] = NULL; break;
		case DB_VALUE_INT:
			wire->integers[i] = htobe64((uint64_t)value->number);
			wire->values[i] = (const char *)&wire->integers[i];
			wire->lengths[i] = (int)sizeof wire->integers[i];
			break;
		case DB_VALUE_BOOL:
			wire->booleans[i] = (char)value->number;
			wire->values[i] = &wire->booleans[i];
			wire->lengths[i] = 1;
			break;
		case DB_VALUE_TEXT: wire->formats[i] = 0; break;
		case DB_VALUE_BYTES: break;
		case DB_VALUE_BYTES_LIST:
			wire->lengths[i] = (int)encode_list(wire->list, value);
			wire->values[i] = (const char *)wire->list;
			break;
		}
	}
}

static bool is_prepared(const struct db *db, const struct db_statement *statement)
{
	for (size_t i = 0; i < db->prepared_count; i++) {
		if (db->prepared[i] == statement)
			return true;
	}
	return false;
}

static void note_prepared(struct db *db, const struct db_statement *statement)
{
	if (db->prepared_count == PREPARED_MAX)
		abort();
	db->prepared[db->prepared_count++] = statement;
}

static enum exchange prepare(struct db *db, const struct db_statement *statement, PGresult **pg)
{
	enum exchange exchange;

	*pg = NULL;
	if (PQsendPrepare(db->conn, statement->name, statement->sql, 0, NULL) != 1)
		return connection_lost(db);
	exchange = await_result(db, pg);
	if (exchange == ANSWERED && PQresultStatus(*pg) == PGRES_COMMAND_OK)
		note_prepared(db, statement);
	return exchange;
}

static enum exchange exchange_statement(struct db *db, const struct db_statement *statement,
                                        const struct wire_params *wire, PGresult **pg)
{
	enum exchange exchange;
	int sent;

	*pg = NULL;
	if (db->config.prepare && !is_prepared(db, statement)) {
		exchange = prepare(db, statement, pg);
		if (exchange != ANSWERED || PQresultStatus(*pg) != PGRES_COMMAND_OK)
			return exchange;
		PQclear(*pg);
		*pg = NULL;
	}
	if (db->config.prepare)
		sent = PQsendQueryPrepared(db->conn, statement->name, wire->count, wire->values, wire->lengths,
		                           wire->formats, 1);
	else
		sent = PQsendQueryParams(db->conn, statement->sql, wire->count, NULL, wire->values, wire->lengths,
		                         wire->formats, 1);
	if (sent != 1)
		return connection_lost(db);
	return await_result(db, pg);
}

static enum exchange exchange_simple(struct db *db, const char *sql, PGresult **pg)
{
	*pg = NULL;
	if (PQsendQuery(db->conn, sql) != 1)
		return connection_lost(db);
	return await_result(db, pg);
}

static int result_destroy(struct db_result *result)
{
	PQclear(result->pg);
	return 0;
}

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

/* As judge(), of a statement outside a transaction when `is_alone`. */
static enum verdict conclude(struct db *db, const PGresult *pg, const char *what, bool is_alone, enum db_status *status)
{
	enum verdict verdict = judge(db, pg, what, status);

	if (verdict == VERDICT_OK && is_alone && is_read_only(db) && !db->was_read_only) {
		/* There may be another primary by now, and what we were told may be outdated. */
		set_problem(db, "the server has become read-only");
		drop(db);
		return VERDICT_AGAIN;
	}
	return verdict;
}

/* Run a statement, or for NULL the script `sql`, again on a new connection when that can be right. */
static enum db_status run_again(struct db *db, const struct db_statement *statement, const char *sql,
                                const struct wire_params *wire, PGresult **pg)
{
	enum db_status status = DB_UNAVAILABLE;
	bool in_transaction = db->in_transaction;

	*pg = NULL;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		enum exchange exchange;
		enum verdict verdict;

		if (!ensure_up(db))
			return DB_UNAVAILABLE;
		exchange =
			statement != NULL ? exchange_statement(db, statement, wire, pg) : exchange_simple(db, sql, pg);
		if (exchange == OVERDUE && (in_transaction || db->failures > 0))
			return DB_UNAVAILABLE;
		verdict = VERDICT_AGAIN;
		/* A transaction whose connection is lost is rolled back: nothing of it remains. */
		status = in_transaction ? DB_CONFLICT : DB_UNAVAILABLE;
		if (exchange == ANSWERED) {
			verdict = conclude(db, *pg, statement != NULL ? statement->name : "script", !in_transaction,
			                   &status);
			if (verdict == VERDICT_OK)
				return DB_OK;
			PQclear(*pg);
			*pg = NULL;
		}
		if (verdict == VERDICT_STATUS || in_transaction)
			return status;
	}
	return DB_UNAVAILABLE;
}

/* The connection is needed for something that is waited for. */
static void await_background(struct db *db)
{
	int64_t began;

	if (!is_background_pending(db))
		return;
	began = clock_monotonic_us();
	while (is_background_pending(db)) {
		(void)socket_ready(db, db_wait_ms(db));
		db_service(db);
	}
	db->waited_us += clock_monotonic_us() - began;
}

static enum db_status run(struct db *db, const struct db_statement *statement, const char *sql,
                          const struct wire_params *wire, PGresult **pg)
{
	bool in_transaction = db->in_transaction;

	*pg = NULL;
	if (db->transaction_failure != DB_OK)
		return db->transaction_failure;
	await_background(db);
	return note_failure(db, in_transaction, run_again(db, statement, sql, wire, pg));
}

/* Takes over `pg`; without `result` its rows are dropped. */
static enum db_status wrap_result(struct db *db, TALLOC_CTX *ctx, PGresult *pg, struct db_result **result)
{
	if (result == NULL) {
		PQclear(pg);
		return DB_OK;
	}
	*result = talloc(ctx, struct db_result);
	if (*result == NULL) {
		PQclear(pg);
		set_problem(db, "out of memory");
		return DB_ERROR;
	}
	(*result)->pg = pg;
	talloc_set_destructor(*result, result_destroy);
	return DB_OK;
}

enum db_status db_query(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement,
                        const struct db_value values[], size_t count, struct db_result **result)
{
	struct wire_params wire;
	enum db_status status;
	PGresult *pg;

	encode(&wire, values, count);
	status = run(db, statement, NULL, &wire, &pg);
	if (result != NULL)
		*result = NULL;
	return status == DB_OK ? wrap_result(db, ctx, pg, result) : status;
}

enum db_status db_execute_text(struct db *db, const char *sql, size_t count, const char *const values[])
{
	enum db_status status = DB_CONFLICT;
	PGresult *pg = NULL;
	enum exchange exchange;

	if (count > DB_PARAMS_MAX) {
		set_problem(db, "too many parameters");
		return DB_ERROR;
	}
	if (db->transaction_failure != DB_OK)
		return db->transaction_failure;
	if (PQsendQueryParams(db->conn, sql, (int)count, NULL, values, NULL, NULL, 0) != 1) {
		(void)connection_lost(db);
		return note_failure(db, true, DB_CONFLICT);
	}
	exchange = await_result(db, &pg);
	if (exchange == ANSWERED)
		(void)judge(db, pg, "receiver's statement", &status);
	PQclear(pg);
	return note_failure(db, true, exchange == OVERDUE ? DB_UNAVAILABLE : status);
}

enum db_status db_script(struct db *db, const char *sql)
{
	PGresult *pg;
	enum db_status status = run(db, NULL, sql, NULL, &pg);

	PQclear(pg);
	return status;
}

enum db_status db_begin(struct db *db)
{
	char sql[200] = "BEGIN ISOLATION LEVEL READ COMMITTED";
	enum db_status status;

	if (!db->config.prepare)
		(void)snprintf(sql + strlen(sql), sizeof sql - strlen(sql),
		               "; SET LOCAL statement_timeout = %lld;"
		               " SET LOCAL idle_in_transaction_session_timeout = %d",
		               (long long)db->config.statement_timeout_ms, IDLE_IN_TRANSACTION_MS);
	status = db_script(db, sql);
	db->in_transaction = status == DB_OK;
	return status;
}

enum db_status db_commit(struct db *db)
{
	enum db_status status;
	PGresult *pg = NULL;
	enum exchange exchange;
	bool rolled_back;

	if (db->transaction_failure != DB_OK)
		return db->transaction_failure;
	if (db->state != STATE_UP)
		return DB_UNAVAILABLE;
	db->is_warned = false;
	exchange = exchange_simple(db, "COMMIT", &pg);
	if (exchange != ANSWERED)
		return DB_UNKNOWN;
	db->in_transaction = false;
	if (judge(db, pg, "COMMIT", &status) == VERDICT_AGAIN)
		status = DB_UNKNOWN;
	rolled_back = status == DB_OK && strcmp(PQcmdStatus(pg), "COMMIT") != 0;
	PQclear(pg);
	if (rolled_back) {
		set_problem(db, "the server rolled the transaction back");
		return DB_ERROR;
	}
	if (status == DB_OK && db->is_warned) {
		/* As when somebody ended the wait for the synchronous standby: a fail-over could lose the transaction.
		 */
		set_problem(db, "the server committed with a warning");
		log_warning("commit_unconfirmed", LOG_STR("problem", db->problem));
		return DB_UNKNOWN;
	}
	return status;
}

void db_rollback(struct db *db)
{
	PGresult *pg = NULL;

	db->transaction_failure = DB_OK;
	if (db->state != STATE_UP || !db->in_transaction) {
		db->in_transaction = false;
		return;
	}
	if (exchange_simple(db, "ROLLBACK", &pg) == ANSWERED && PQresultStatus(pg) != PGRES_COMMAND_OK)
		drop(db);
	PQclear(pg);
	db->in_transaction = false;
}

/* ---- A statement in the background -------------------------------------------------------------------------- */

/* The connection was lost, or is to be another one: send it again there, at once when that can be. */
static void send_background_again(struct db *db)
{
	if (++db->background.attempts >= ATTEMPTS || db->failures > 0)
		finish_background(db, DB_UNAVAILABLE, NULL);
	else if (db->state == STATE_DOWN)
		start_attempt(db);
}

static void lose_background(struct db *db)
{
	counters_add(db->config.counters, COUNTER_DATABASE_ERRORS);
	(void)connection_lost(db);
	send_background_again(db);
}

static void send_background(struct db *db)
{
	struct background *background = &db->background;
	const struct db_statement *statement = background->statement;
	const struct wire_params *wire = &background->wire;
	int sent;

	background->is_preparing = db->config.prepare && !is_prepared(db, statement);
	background->deadline = clock_monotonic_ms() + db->config.statement_timeout_ms + STATEMENT_GRACE_MS;
	if (background->is_preparing)
		sent = PQsendPrepare(db->conn, statement->name, statement->sql, 0, NULL);
	else if (db->config.prepare)
		sent = PQsendQueryPrepared(db->conn, statement->name, wire->count, wire->values, wire->lengths,
		                           wire->formats, 1);
	else
		sent = PQsendQueryParams(db->conn, statement->sql, wire->count, NULL, wire->values, wire->lengths,
		                         wire->formats, 1);
	/* So little that an idle connection takes it at once. */
	if (sent == 1 && PQflush(db->conn) == 0)
		background->is_sent = true;
	else
		lose_background(db);
}

/* All that the server had to say is here. */
static void conclude_background(struct db *db, PGresult *pg)
{
	struct background *background = &db->background;
	enum db_status status;
	enum verdict verdict = conclude(db, pg, background->statement->name, true, &status);

	counters_add(db->config.counters, COUNTER_DATABASE_ROUND_TRIPS);
	if (verdict == VERDICT_OK && !background->is_preparing) {
		finish_background(db, DB_OK, pg);
		return;
	}
	PQclear(pg);
	if (verdict == VERDICT_OK) {
		note_prepared(db, background->statement);
		send_background(db);
	} else if (verdict == VERDICT_AGAIN) {
		send_background_again(db);
	} else {
		finish_background(db, status, NULL);
	}
}

static void read_background(struct db *db)
{
	PGresult *pg = NULL;

	if (PQconsumeInput(db->conn) != 1) {
		lose_background(db);
		return;
	}
	while (!PQisBusy(db->conn)) {
		PGresult *next = PQgetResult(db->conn);

		if (next == NULL && db->background.pg == NULL) {
			lose_background(db);
			return;
		}
		if (next == NULL) {
			pg = db->background.pg;
			db->background.pg = NULL;
			db->was_stuck = false;
			take_notifications(db);
			conclude_background(db, pg);
			return;
		}
		PQclear(db->background.pg);
		db->background.pg = next;
	}
	if (clock_until_ms(db->background.deadline) > 0)
		return;
	leave_stuck(db);
	if (is_background_pending(db))
		send_background_again(db);
}

void db_start(struct db *db, const struct db_statement *statement, const struct db_value values[], size_t count)
{
	struct background *background = &db->background;

	if (background->statement != NULL || db->in_transaction)
		abort();
	*background = (struct background){.statement = statement};
	encode(&background->wire, values, count);
	/* While attempts fail nobody is made to wait for the next. */
	if (db->state == STATE_UP)
		send_background(db);
	else if (db->failures > 0)
		finish_background(db, DB_UNAVAILABLE, NULL);
	else if (db->state == STATE_DOWN)
		start_attempt(db);
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

	if (db->is_listening)
		return DB_OK;
	(void)snprintf(sql, sizeof sql, "LISTEN %s", channel);
	/* A pooler of transactions would have somebody else's connection listen. */
	if (db->config.prepare)
		status = db_script(db, sql);
	db->is_listening = status == DB_OK;
	return status;
}

enum db_status db_wait_notification(struct db *db, int64_t timeout_ms)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;

	while (db->is_listening && !db->is_notified) {
		struct pollfd readable = {.fd = PQsocket(db->conn), .events = POLLIN};
		int ready = poll(&readable, 1, clock_until_ms(until));

		if (ready == 0)
			break;
		if (ready > 0 && (PQconsumeInput(db->conn) != 1 || PQstatus(db->conn) != CONNECTION_OK)) {
			(void)connection_lost(db);
			return DB_UNAVAILABLE;
		}
		take_notifications(db);
	}
	db->is_notified = false;
	return db->state == STATE_UP ? DB_OK : DB_UNAVAILABLE;
}

/* ---- Results ------------------------------------------------------------------------------------------------ */

size_t db_rows(const struct db_result *result)
{
	return (size_t)PQntuples(result->pg);
}

bool db_is_null(const struct db_result *result, size_t row, int column)
{
	return PQgetisnull(result->pg, (int)row, column) != 0;
}

static const char *value_of(const struct db_result *result, size_t row, int column, Oid type)
{
	if (PQftype(result->pg, column) != type || db_is_null(result, row, column))
		abort();
	return PQgetvalue(result->pg, (int)row, column);
}

int64_t db_int(const struct db_result *result, size_t row, int column)
{
	Oid type = PQftype(result->pg, column);
	const char *value = value_of(result, row, column, type);
	uint64_t wide;
	uint32_t word;
	uint16_t half;

	switch (type) {
	case OID_INT8: memcpy(&wide, value, sizeof wide); return (int64_t)be64toh(wide);
	case OID_INT4: memcpy(&word, value, sizeof word); return (int32_t)be32toh(word);
	case OID_INT2: memcpy(&half, value, sizeof half); return (int16_t)be16toh(half);
	default: abort();
	}
}

bool db_bool(const struct db_result *result, size_t row, int column)
{
	return *value_of(result, row, column, OID_BOOL) != 0;
}

int64_t db_time(const struct db_result *result, size_t row, int column)
{
	uint64_t wide;
	int64_t since_2000;

	memcpy(&wide, value_of(result, row, column, OID_TIMESTAMPTZ), sizeof wide);
	since_2000 = (int64_t)be64toh(wide);
	/* 'infinity' and its opposite are the ends of the range. */
	if (since_2000 > INT64_MAX - POSTGRES_EPOCH_US)
		return INT64_MAX;
	return since_2000 == INT64_MIN ? INT64_MIN : since_2000 + POSTGRES_EPOCH_US;
}

const char *db_text(const struct db_result *result, size_t row, int column)
{
	return db_is_null(result, row, column) ? NULL : value_of(result, row, column, OID_TEXT);
}

const uint8_t *db_bytes(const struct db_result *result, size_t row, int column, size_t *size)
{
	*size = 0;
	if (db_is_null(result, row, column))
		return NULL;
	*size = (size_t)PQgetlength(result->pg, (int)row, column);
	return (const uint8_t *)value_of(result, row, column, OID_BYTEA);
}
