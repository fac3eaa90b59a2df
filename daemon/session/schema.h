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
 * Apply what is missing, under a lock, each in a transaction; `applied` is called after each one. A database that is
 * newer than this build, or not in UTF-8, is left alone: DB_ERROR with db_problem() telling.
 */
enum db_status schema_migrate(struct db *db, void (*applied)(const struct schema_migration *migration));

/* How many connections this role can have to this database, those of others included. */
enum db_status schema_connection_limit(struct db *db, int64_t *limit);

/* Give `role` the rights that the daemon needs, to read and write rows and no more. */
enum db_status schema_grant(struct db *db, const char *role);

#endif
