/*
 * What the files session/db*.c share and no other file includes. Calls go one way: db.c (statements, transactions) uses
 * db_background.c, db_text.c uses db.c, all of them db_exchange.c, db_error.c and db_result.c, and these
 * db_connection.c, which knows nothing of statements but those that db_startup.c composes.
 */
#ifndef SESSION_DB_PRIVATE_H
#define SESSION_DB_PRIVATE_H

#include "session/db.h"

#include <libpq-fe.h>

/* How often connecting, or a statement outside a transaction, is tried when the connection is lost. */
#define DB_ATTEMPTS 3
/* A client that died while it held a row must not hold it for ever: the server then ends the transaction. */
#define DB_IDLE_IN_TRANSACTION_MS 10000
#define DB_PREPARED_MAX           128

/* Types as pg_type.dat numbers them; they are part of the wire protocol and do not change. */
enum {
	OID_BOOL = 16,
	OID_BYTEA = 17,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_JSON = 114,
	OID_FLOAT4 = 700,
	OID_FLOAT8 = 701,
	OID_TIMESTAMPTZ = 1184,
	OID_NUMERIC = 1700,
	OID_JSONB = 3802
};

/* ---- The beginning of a connection: db_startup.c ------------------------------------------------------------ */

#define DB_SETTINGS_SIZE 700
#define DB_STARTUP_SIZE  (DB_SETTINGS_SIZE + 100)

struct db_connection;

/* Statements that give the connection's settings the values that we count on. */
void db_startup_settings(const struct db_connection *connection, char sql[DB_SETTINGS_SIZE]);

/* These, and in a transaction that is left open the one row of the schema's version and whether it is a standby. */
void db_startup_query(const struct db_connection *connection, char sql[DB_STARTUP_SIZE]);

/* ---- The connection: db_connection.c ------------------------------------------------------------------------ */

enum db_state { STATE_DOWN, STATE_CONNECTING, STATE_STARTUP, STATE_UP };

struct db_hosts;
struct db_cache;

/* What the server, or libpq for it, keeps for one connection: it is lost with the connection. */
struct db_server_state {
	bool in_transaction;
	bool is_listening; /* as far as it can be */
	bool is_notified;  /* and the caller has not been told yet */
	size_t prepared_count;
	const struct db_statement *prepared[DB_PREPARED_MAX];
};

struct db_connection {
	struct db_config config;
	PGconn *conn;
	enum db_state state;
	struct db_server_state server;
	PostgresPollingStatusType waits_for;
	int64_t deadline; /* of the attempt under way, or of the last one */
	int64_t retry_at;
	int failures;           /* attempts that failed since the connection was last up */
	struct db_hosts *hosts; /* in the order for the next attempt; NULL: that of conninfo */
	unsigned int watch_id;
	bool is_standby;
	bool was_read_only; /* when the connection came up */
	bool is_started_up; /* the startup query is answered; its transaction is to be ended */
	bool was_stuck;     /* the server was silent, and has not answered a statement since */
	bool is_warned;     /* by the server, since this was last set to false */
	bool is_ending;     /* the server has said, unasked, that it closes the connection */
	bool schema_mismatch;
	bool has_mixed_up; /* statements that were prepared, ever */
	int found_schema;
	struct db_cache *cache; /* what is prepared of modules' statements: lost with the connection, too */
	int64_t time_limit;     /* see db_set_time_limit(); 0: none */
	int64_t waited_us;
	struct db_failure failure;
	char problem[512];
};

/* Not yet open; freeing it closes the connection. config's strings are copied. NULL when out of memory. */
struct db_connection *db_connection_new(TALLOC_CTX *ctx, const struct db_config *config);

/* As db_connect() and db_reconnect(). True when the connection is up. */
bool db_connection_open(struct db_connection *connection);
bool db_connection_open_once(struct db_connection *connection);

/* Connect anew when the connection was lost, but not while attempts fail. True when the connection is up. */
bool db_connection_ensure(struct db_connection *connection);

/* Begin an attempt of a connection that is down. It may fail at once: then the connection is down still. */
void db_connection_start(struct db_connection *connection);

/* As db_service(), for the connection alone. */
void db_connection_service(struct db_connection *connection);

int db_connection_socket(const struct db_connection *connection);
bool db_connection_wants_write(const struct db_connection *connection);
int db_connection_wait_ms(const struct db_connection *connection);

/* Wait until the socket is ready for db_service(). */
bool db_connection_wait_socket(const struct db_connection *connection, int timeout_ms);

/* The connection is of no more use. The first loss after it was up is worth an attempt at once. */
void db_connection_drop(struct db_connection *connection);

/* Likewise, with libpq's reason for it as the problem. */
void db_connection_lost(struct db_connection *connection);

/* Likewise, because the server is silent; outside a transaction, and for once, another attempt is right at once. */
void db_connection_leave_stuck(struct db_connection *connection);

void db_connection_set_problem(struct db_connection *connection, const char *text);

/* The server reports that setting by itself, as soon as it is asked for something. */
bool db_connection_is_read_only(const struct db_connection *connection);

/* ---- Parameters on the wire: db_params.c -------------------------------------------------------------------- */

/* What comes before the members of an array: dimensions, whether there are NULLs, type; length, first number. */
#define DB_ARRAY_HEADER_SIZE 20

/* It points into itself and at the values' data: it is neither copied nor outlives them. */
struct db_params {
	const char *values[DB_PARAMS_MAX];
	int lengths[DB_PARAMS_MAX];
	int formats[DB_PARAMS_MAX];
	uint64_t integers[DB_PARAMS_MAX];
	char booleans[DB_PARAMS_MAX];
	uint8_t list[DB_ARRAY_HEADER_SIZE + DB_LIST_SIZE];
	int count;
};

void db_params_encode(struct db_params *params, const struct db_value values[], size_t count);

/* ---- Statements: db.c, db_background.c --------------------------------------------------------------------------- */

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
	char *notices;                      /* what it will notify of once it is committed; NULL: nothing */
	struct background background;
};

/* The connection is needed for a statement that the caller waits for. */
void db_await_background(struct db *db);

/* Returns `status`, and keeps it as that of the transaction. */
enum db_status db_note_failure(struct db *db, bool in_transaction, enum db_status status);

/* ---- One exchange with the server: db_exchange.c ------------------------------------------------------------ */

/* How long past statement_timeout the server is given to report that itself. */
#define DB_STATEMENT_GRACE_MS 500

#define DB_TOO_LATE "the time of the request or job was over"

/* True when there is no time left to send anything. */
bool db_is_too_late(const struct db_connection *connection);

/* How an exchange ended that got no answer: LOST is worth another try on a new connection, OVERDUE one at the most. */
enum db_exchange { ANSWERED, LOST, OVERDUE };

/* Send and wait. *pg is the last result, NULL unless ANSWERED. A statement is prepared first where it is to be. */
enum db_exchange db_exchange_statement(struct db_connection *connection, const struct db_statement *statement,
                                       const struct db_params *params, PGresult **pg);
enum db_exchange db_exchange_script(struct db_connection *connection, const char *sql, PGresult **pg);

/* Bring all that is queued to the server, and wait. */
enum db_exchange db_await_result(struct db_connection *connection, PGresult **pg);

/* The parts of an exchange that is not waited for. What is sent stays queued until PQflush(); false: it is not. */
bool db_send_prepare(struct db_connection *connection, const struct db_statement *statement);
bool db_send_statement(struct db_connection *connection, const struct db_statement *statement,
                       const struct db_params *params);
int64_t db_exchange_deadline(const struct db_connection *connection);

/* True when the statement can be sent as it is: it is prepared on this connection, or none is to be. */
bool db_is_prepared(const struct db_connection *connection, const struct db_statement *statement);
void db_note_prepared(struct db_connection *connection, const struct db_statement *statement);

/*
 * Note that a notification has come: that is all that counts. libpq keeps them until they are taken, also those of a
 * channel that another client has sent LISTEN for on a connection which a pooler has passed on.
 */
void db_take_notifications(struct db_connection *connection);

/* ---- Answers: db_error.c, db_result.c ----------------------------------------------------------------------- */

/* AGAIN: the connection was dropped, for a new one may give a better answer. FINAL: the status is the answer. */
enum db_answer { DB_ANSWER_OK, DB_ANSWER_AGAIN, DB_ANSWER_FINAL };

/* Set *status, the problem and the counters by what the server has answered to `what`, which is a name for the log. */
enum db_answer db_classify_result(struct db_connection *connection, const PGresult *pg, const char *what,
                                  enum db_status *status);

/*
 * As db_classify_result(), of a statement outside a transaction when `is_alone`: with AGAIN also when the server has
 * become read-only meanwhile.
 */
enum db_answer db_conclude(struct db_connection *connection, const PGresult *pg, const char *what, bool is_alone,
                           enum db_status *status);

/* Whose statements an answer is to: what a violation means differs, and who logs it. */
enum db_classifier { DB_OF_DAEMON, DB_OF_MODULES };

/*
 * The same for a statement of a module's, which may not be idempotent: AGAIN only where the server has certainly not
 * carried it out; the connection is then dropped. `is_old`: it was prepared before, and may be outdated. The caller
 * logs it.
 */
enum db_answer db_classify_text(struct db_connection *connection, const PGresult *pg, bool is_old,
                                enum db_status *status);

/* Takes over `pg`; without `result` its rows are dropped, else *result is on `ctx`. DB_OK, or DB_ERROR: no memory. */
enum db_status db_take_result(struct db_connection *connection, TALLOC_CTX *ctx, PGresult *pg,
                              struct db_result **result);

#endif
