/* The schema: migrations from schema/, built into the programs, applied in order, each once. */
#ifndef SESSION_SCHEMA_H
#define SESSION_SCHEMA_H

#include "session/db.h"

#include <stddef.h>

struct schema_migration {
	int version;
	const char *name; /* the file's name without .sql: "0001_accounts_and_sessions" */
	const char *sql;
};

/* The version that this build needs: that of the last migration. */
int schema_version(void);

/*
 * The version that the database is at, 0 when nothing was applied. A database that is newer than this build, or not in
 * UTF-8, is not to be gone on from: DB_ERROR with the reason as db_problem(). Rows are on `ctx`.
 */
enum db_status schema_read_version(struct db *db, TALLOC_CTX *ctx, int *version);

/*
 * Apply what is missing, under a lock, each in a transaction; `applied` is called after each one. A database that is
 * newer than this build, or not in UTF-8, is left alone: DB_ERROR with the reason as db_problem().
 */
enum db_status schema_migrate(struct db *db, void (*applied)(const struct schema_migration *migration));

/* How many connections this role can have to this database, those of other processes included. */
enum db_status schema_connection_limit(struct db *db, int64_t *limit);

/* A sequence whose numbers are taken by rows of the table already, as after a restore of single tables. */
struct sequence {
	const char *name;
	const char *table;
};

#define SEQUENCES_MAX 3

struct sequence_list {
	struct sequence all[SEQUENCES_MAX];
	size_t count;
};

/*
 * Strings on `ctx`. Two round trips that read the ends of a few indexes. While a transaction holds one of the tables
 * exclusively none is found: no request is to wait for that lock because of this.
 */
enum db_status schema_sequences_behind(struct db *db, TALLOC_CTX *ctx, struct sequence_list *behind);

/* Set those forward that are behind, for which it takes the right to change them. */
enum db_status schema_advance_sequences(struct db *db, TALLOC_CTX *ctx, struct sequence_list *advanced);

/* That it is behind, and the cure, in a sentence on `ctx`. */
const char *schema_sequence_problem(TALLOC_CTX *ctx, const struct sequence *sequence);

/*
 * After DB_DUPLICATE of a number that no caller chose, and outside a transaction: db_problem() becomes the sequence
 * that is behind, if one is.
 */
void schema_explain_duplicate(struct db *db);

/*
 * Run the script that the statement composes for a role: its one row has the script, and whether the role is the
 * tables' owner, which is refused; no row: there is no such role.
 */
enum db_status schema_run_grants(struct db *db, const struct db_statement *composed, const struct db_value values[],
                                 size_t count);

/*
 * *problem, on `ctx`, is what the connection's own role may not do that the daemon does, with the cure; NULL: nothing
 * is missing.
 */
enum db_status schema_missing_rights(struct db *db, TALLOC_CTX *ctx, const char **problem);

/* Give `role` the rights that the daemon needs, to read and write rows and no more. */
enum db_status schema_grant(struct db *db, const char *role);

#endif
