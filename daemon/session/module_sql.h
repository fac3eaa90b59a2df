/* Behind ones_sql() and ones_transact(): the SQL of modules, on the process's own connection. */
#ifndef SESSION_MODULE_SQL_H
#define SESSION_MODULE_SQL_H

#include "onesession.h"
#include "session/db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* What a handler, a receiver or a job has of the database. */
struct ones_db {
	struct db *db;
	TALLOC_CTX *ctx;     /* for rows: of the request, event or job */
	const char *purpose; /* the route, signal or job, for the log */
	const char *refusal; /* why there is no SQL here, in a sentence; NULL: there is */
	int64_t until_ms;    /* clock_monotonic_ms() at which the time is over; 0: no limit */
	bool in_transaction; /* of ones_transact(), or the one that the receiver is in */
	bool has_misread;    /* a column was asked for that is not there, or as what it is not: all of it is to fail */
};

/* Room for a statement's text in the log. */
#define SQL_LABEL_SIZE 88

/*
 * What of a statement may be logged: its beginning in one line, up to its first literal, for that is where a module
 * which does not use parameters has put a value.
 */
const char *sql_label(const char *sql, char label[SQL_LABEL_SIZE]);

/*
 * May a module run it? It reads or changes rows: what it leaves behind is in tables, and the connection, which is
 * shared with all others, stays as it was.
 */
bool sql_is_allowed(const char *sql);

/* The values as text, for db_run_text(); an array on `ctx`. NULL when out of memory. */
const char **sql_values_as_text(TALLOC_CTX *ctx, const struct ones_value values[], size_t count);

/* A timestamptz as the server writes it in the style ISO. False when it is none. */
bool sql_read_time(const char *text, ones_time *when);

/* ones_sql() without sql_is_allowed(), and with the values as text. */
enum ones_result module_sql_run(struct ones_db *db, struct ones_rows **rows, const char *sql,
                                const char *const values[], size_t count);

/* The rows of `result`, which becomes theirs, on db->ctx. NULL when out of memory. */
struct ones_rows *module_rows_new(struct ones_db *db, struct db_result *result, const char *sql);

#endif
