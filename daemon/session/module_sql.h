/* Behind ones_sql() and ones_transact(): the SQL of modules, on the process's own connection. */
#ifndef SESSION_MODULE_SQL_H
#define SESSION_MODULE_SQL_H

#include "onesession.h"
#include "session/db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

struct emission;
struct signals;

/* What a handler, a receiver or a job has of the database. */
struct ones_db {
	struct db *db;
	TALLOC_CTX *ctx;       /* for rows: of the request, event or job */
	const char *purpose;   /* the route, signal or job, for the log */
	const char *refusal;   /* why there is no SQL here, in a sentence; NULL: there is */
	int64_t until_ms;      /* clock_monotonic_ms() at which the time is over; 0: no limit */
	const char *client_ip; /* of the request behind it, as the next; NULL: there is none */
	const char *client_user_agent;
	const char *client_language;
	const char *client_program; /* the token of the API that it came with */
	bool in_transaction;        /* of ones_transact(), or the one that the receiver is in */
	bool is_telling;            /* receivers after the commit of ones_transact() are being called */
	bool has_misread; /* a column was asked for that is not there, or as what it is not: all of it is to fail */
	const struct signals *signals; /* for ones_emit() */
	struct emission *emission;     /* of the transaction that it is in; NULL: it is in none */
	struct ones_refusal *refused;  /* why ones_transact() was refused is put there; NULL: it is not asked for */
};

/* Of the time of a request, or of a job: the last part is for its answer, or for saying how it went. */
#define TIME_FOR_SQL(ms) ((ms) - (ms) / 10)

/* Room for a statement's text in the log. */
#define SQL_LABEL_SIZE 88

/*
 * What of a statement may be logged: its beginning in one line, up to its first literal, for that is where a module
 * which does not use parameters has put a value.
 */
const char *sql_label(const char *sql, char label[SQL_LABEL_SIZE]);

/*
 * Why a module may not run it, in a sentence; NULL: it may. It reads or changes rows: what it leaves behind is in
 * tables, and the connection, which is shared with all others, stays as it was. That guards against mistakes: what a
 * function in the database does is not looked at. Literals are read as standard_conforming_strings has them.
 */
const char *sql_problem(const char *sql);

/* The values as text, for db_run_text(); an array on `ctx`. NULL when out of memory. */
const char **sql_values_as_text(TALLOC_CTX *ctx, const struct ones_value values[], size_t count);

/* A timestamptz as the server writes it in the style ISO. False when it is none, or not of the years 1 to 294246. */
bool sql_read_time(const char *text, ones_time *when);

/* What a module gets for what the database answered. */
enum ones_result module_sql_result(enum db_status status);

/* Why there is no SQL for the caller, in a sentence; NULL: there is. */
const char *module_sql_refusal(const struct ones_db *db);

/* Log a mistake of the module's, for which the server is not asked: `what` is its SQL or call. ONES_RESULT_FAILED. */
enum ones_result module_sql_refuse(const struct ones_db *db, const char *what, const char *problem);

/* ones_sql() with the values as text. */
enum ones_result module_sql_run(struct ones_db *db, struct ones_rows **rows, const char *sql,
                                const char *const values[], size_t count);

typedef enum ones_result module_sql_body(struct ones_db *db, void *context);

/*
 * Run `body` as a part of a transaction that has begun, whose events are those of `emission`. DB_OK, or the status that
 * the transaction is to be rolled back for; *result is the body's reason for that, ONES_RESULT_OK: it has given none.
 */
enum db_status module_sql_join(struct ones_db *db, struct emission *emission, module_sql_body *body, void *context,
                               enum ones_result *result);

/* The rows of `result`, which becomes theirs, on db->ctx. NULL when out of memory. */
struct ones_rows *module_rows_new(struct ones_db *db, struct db_result *result, const char *sql);

#endif
