/*
 * One connection to PostgreSQL that keeps its deadlines: statements, transactions, notifications.
 *
 * While connected, a call blocks until the server has answered (but for db_start()), and never past
 * database.statement_timeout and a grace: a silent server's connection is dropped, and a statement outside a
 * transaction is sent once more on a new connection; then the call returns DB_UNAVAILABLE. After a connection is lost
 * the next call connects anew at once; when that fails the connection is down: calls then fail at once, and
 * db_service(), called from the process's loop, connects again in the background.
 */
#ifndef SESSION_DB_H
#define SESSION_DB_H

#include "base/counters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

struct db;

enum db_status {
	DB_OK,
	DB_UNAVAILABLE, /* away, stuck, restarting, read-only or of another schema; nothing is known to be changed */
	DB_CONFLICT,    /* the transaction is lost, and may be tried again: a deadlock (40P01), a row that has gone
	                   (23503), or a connection that broke off in the middle of it */
	DB_DUPLICATE,   /* unique violation (23505) */
	DB_VIOLATION,   /* only of modules' statements: another constraint (23), or a value that does not fit (22) */
	DB_UNKNOWN,     /* only from db_commit(): the connection was lost, or a synchronous standby may not have it: the
	                   outcome must be read back by a transaction that writes and commits */
	DB_REFUSED,     /* only from account_tx.h and emission.h: a receiver in the transaction has refused it */
	DB_ERROR,       /* any other answer, logged with its SQLSTATE: a defect, or a right that is missing */
};

struct db_config {
	const char *conninfo;
	const char *application_name;
	int64_t connect_timeout_ms;
	int64_t statement_timeout_ms;
	bool prepare; /* false: no prepared statements, as pgbouncer before 1.21 needs in transaction pooling */
	struct counters *counters; /* where round trips and errors are counted; may be NULL */
	int required_schema;       /* the version that schema_migrations must be at; 0: any */
	bool is_quiet;             /* that the database cannot be reached is not logged: others say so */
};

/* `name` is the prepared statement's name; statements are compared by address, so declare them static const. */
struct db_statement {
	const char *name;
	const char *sql;
};

enum db_value_type { DB_VALUE_NULL, DB_VALUE_INT, DB_VALUE_BOOL, DB_VALUE_TEXT, DB_VALUE_BYTES, DB_VALUE_BYTES_LIST };

/*
 * A parameter. In the SQL an integer is $n::bigint, a text has the cast it needs, bytes are $n::bytea, and a list of
 * them $n::bytea[].
 */
struct db_value {
	enum db_value_type type;
	int64_t number; /* of a list: its members */
	const void *data;
	size_t length;
};

#define DB_NULL                 ((struct db_value){.type = DB_VALUE_NULL})
#define DB_INT(value)           ((struct db_value){.type = DB_VALUE_INT, .number = (value)})
#define DB_BOOL(value)          ((struct db_value){.type = DB_VALUE_BOOL, .number = (value) ? 1 : 0})
#define DB_BYTES(pointer, size) ((struct db_value){.type = DB_VALUE_BYTES, .data = (pointer), .length = (size)})
/* A struct session_key. */
#define DB_KEY(key) DB_BYTES((key)->bytes, sizeof(key)->bytes)
/*
 * `count` values of `size` bytes each, one behind the other, with (size + 4) * count no more than DB_LIST_SIZE. A
 * statement has room for one list.
 */
#define DB_BYTES_LIST(pointer, size, count)                                                                            \
	((struct db_value){                                                                                            \
		.type = DB_VALUE_BYTES_LIST, .number = (int64_t)(count), .data = (pointer), .length = (size)})
#define DB_LIST_SIZE 2048
/* NULL becomes SQL NULL. */
#define DB_TEXT(string) db_text_value(string)

struct db_value db_text_value(const char *string);

#define DB_PARAMS_MAX 16

/*
 * A connection that is not yet open, on `ctx`; freeing it closes the connection. config's strings are copied.
 * NULL when out of memory.
 */
struct db *db_new(TALLOC_CTX *ctx, const struct db_config *config);

/*
 * Connect now, within connect_timeout for each host of conninfo. Returns DB_OK or DB_UNAVAILABLE; db_problem() then
 * says why.
 */
enum db_status db_connect(struct db *db);

/* The same within a single connect_timeout, for when a request waits for it: not every host may get its turn. */
enum db_status db_reconnect(struct db *db);

/* The last error, in a sentence without parameter values: for logs and command lines. Never NULL. */
const char *db_problem(const struct db *db);

/* For what a caller finds wrong with the database: db_problem() then returns it. */
void db_set_problem(struct db *db, const char *problem);

/* The same for a lack of memory. Returns DB_ERROR. */
enum db_status db_out_of_memory(struct db *db);

/* True when the schema is another than required_schema: waiting will not help. */
bool db_schema_mismatch(const struct db *db);

/*
 * True when the server has not known a statement that was prepared, or has known it before: connections are handed on
 * by a pooler of transactions.
 */
bool db_has_mixed_up(const struct db *db);

struct db_result;

/*
 * Run one statement with `count` values. With `result` NULL its rows are dropped, else *result is on `ctx`.
 * Outside a transaction, a statement whose connection is lost or silent is sent again on a new one: it must be
 * idempotent.
 */
enum db_status db_query(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement,
                        const struct db_value values[], size_t count, struct db_result **result);

/* Takes a row over into an item of an array; texts in it go on belonging to the result. */
typedef void db_read_row(const struct db_result *result, size_t row, void *item);

/*
 * All rows of a statement as an array, each as `read` fills in an item of `size` bytes: on `ctx`, as is the result.
 * *count of how many. NULL, and 0, when *status is not DB_OK.
 */
void *db_query_list(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement,
                    const struct db_value values[], size_t value_count, size_t size, db_read_row *read, size_t *count,
                    enum db_status *status);

/* The integer in the first column of a statement's only row. *number stays as it is where there is none. */
enum db_status db_query_int(struct db *db, const struct db_statement *statement, const struct db_value values[],
                            size_t count, int64_t *number);

/*
 * Like db_query(), for the SQL of modules. Values are text (NULL: SQL NULL) whose types the server infers, and so are
 * the rows, see db_as_text(). It is prepared by itself, and known again by its text. Outside a transaction it is sent a
 * second time only when it has certainly not been carried out. Failures are not logged, see db_failure(). Rows that
 * take more than 16 MiB are DB_ERROR, although the statement has been carried out.
 */
enum db_status db_run_text(struct db *db, TALLOC_CTX *ctx, const char *sql, size_t count, const char *const values[],
                           struct db_result **result);

/* Is the text of db_run_text() prepared on the connection? Then it has been run before. */
bool db_is_text_prepared(struct db *db, const char *sql);

/* Until when (clock_monotonic_ms()) statements may take from now on, beside database.statement_timeout; 0: no limit. */
void db_set_time_limit(struct db *db, int64_t until_ms);

/* What the server has said of the statement that failed last. */
struct db_failure {
	char sqlstate[6]; /* "" when there was no answer */
	int position;     /* in the SQL, counted in characters from 1; 0: not known */
};

const struct db_failure *db_failure(const struct db *db);

/*
 * The same in the background, outside a transaction: db_start() sends a statement and does not wait, db_service()
 * brings its answer, and once db_is_done() says so db_finish() takes it, with a status as db_query() gives. The bytes
 * and texts among its values have to last until then. One at a time: db_is_started() is true from db_start() to
 * db_finish(). While the connection is made anew the statement waits for that; while attempts fail it is DB_UNAVAILABLE
 * at once. Any other call that needs the connection waits for the answer first.
 */
void db_start(struct db *db, const struct db_statement *statement, const struct db_value values[], size_t count);
bool db_is_started(const struct db *db);
bool db_is_done(const struct db *db);
enum db_status db_finish(struct db *db, TALLOC_CTX *ctx, struct db_result **result);

/* Run a script of several statements without values, as schema migrations are. */
enum db_status db_script(struct db *db, const char *sql);

/* Have role and settings of the connection be again what they were when it came up: a script may have changed them. */
enum db_status db_restore_settings(struct db *db);

/*
 * Transactions do not nest, and are READ COMMITTED whatever the server's default is. After any status but DB_OK from
 * within one, only db_rollback() is right: any other call returns the same status again, db_commit() included.
 */
enum db_status db_begin(struct db *db);
enum db_status db_commit(struct db *db);
/* For a transaction of a module's statements: a constraint that it violates at last is DB_VIOLATION or DB_DUPLICATE. */
enum db_status db_commit_text(struct db *db);
void db_rollback(struct db *db);

/*
 * NOTIFY onesession with a payload of JSON, below 8000 bytes; or with "": to wake up who listens. In a transaction it
 * is sent after it is committed, before db_commit() returns, by a transaction of its own that waits for nothing: the
 * server lets the commits of those that notify through one by one, of all its databases, from before a commit until the
 * disk and synchronous standbys have it (PreCommit_Notify() in PostgreSQL's async.c), and logins would wait for one
 * another. So it is lost with the process or the connection in between, and when the outcome of the commit is not
 * known.
 */
enum db_status db_notify(struct db *db, const char *payload);

/* What the transaction under way has failed with; DB_OK: it has not. */
enum db_status db_transaction_failure(const struct db *db);

/* Rows and columns. A column that is not of the type asked for, or NULL, is a defect: the process stops. */
size_t db_rows(const struct db_result *result);
bool db_is_null(const struct db_result *result, size_t row, int column);
int64_t db_int(const struct db_result *result, size_t row, int column); /* smallint, integer, bigint */
bool db_bool(const struct db_result *result, size_t row, int column);
int64_t db_time(const struct db_result *result, size_t row, int column);          /* timestamptz: us since 1970 */
int64_t db_time_or_never(const struct db_result *result, size_t row, int column); /* likewise; SQL NULL is 0: never */
/* Text. Belongs to the result. NULL for SQL NULL. */
const char *db_text(const struct db_result *result, size_t row, int column);
/* bytea. Belongs to the result; *size is set. NULL for SQL NULL. */
const uint8_t *db_bytes(const struct db_result *result, size_t row, int column, size_t *size);

/* ---- Rows of db_run_text() ---------------------------------------------------------------------------------- */

enum db_column_type {
	DB_COLUMN_INT,
	DB_COLUMN_REAL,
	DB_COLUMN_NUMERIC,
	DB_COLUMN_BOOL,  /* "t" or "f" */
	DB_COLUMN_BYTES, /* see db_unescape() */
	DB_COLUMN_TIME,  /* timestamptz */
	DB_COLUMN_JSON,
	DB_COLUMN_OTHER,
};

size_t db_columns(const struct db_result *result);
const char *db_column_name(const struct db_result *result, size_t column);
enum db_column_type db_column_type(const struct db_result *result, size_t column);
/* As the server writes it. Belongs to the result. NULL for SQL NULL. */
const char *db_as_text(const struct db_result *result, size_t row, size_t column);
/* The bytes of a bytea that is written as text, on `ctx`; NULL when out of memory. */
uint8_t *db_unescape(TALLOC_CTX *ctx, const char *text, size_t *size);

/* ---- Notifications ------------------------------------------------------------------------------------------ */

/*
 * LISTEN on the channel; to be called again before each wait, for the connection may be another one by then. With
 * database.prepare off there are no notifications: behind a pooler another client would get them.
 */
enum db_status db_listen(struct db *db, const char *channel);

/*
 * Wait until a notification comes, the time is over, or the connection is lost: DB_UNAVAILABLE then, else DB_OK. Does
 * not wait on a connection that db_listen() was not called for. A notification is a hint and may get lost: the caller
 * reads the table.
 */
enum db_status db_wait_notification(struct db *db, int64_t timeout_ms);

/* ---- For the process's loop --------------------------------------------------------------------------------- */

/* The descriptor to watch (it changes with every connection attempt), -1 when there is none. */
int db_socket(const struct db *db);

/* Changes whenever db_socket() may be another one, if only by the same number, or db_wants_write() may have changed. */
unsigned int db_watch_id(const struct db *db);

/* True when db_service() waits for the socket to become writable, false for readable. */
bool db_wants_write(const struct db *db);

/* Milliseconds until db_service() wants to be called whatever the socket does; -1: not at all. */
int db_wait_ms(const struct db *db);

/*
 * Go on with connecting or with db_start()'s statement, or notice that the server has gone. Never blocks but for the
 * resolution of a host name.
 */
void db_service(struct db *db);

bool db_is_connected(const struct db *db);

/* Microseconds that calls have spent in waiting for the server, since db_new(). */
int64_t db_waited_us(const struct db *db);

#endif
