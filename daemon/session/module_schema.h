/* The schema of a module: its migrations applied in their order, each once, and the daemon's rights in it. */
#ifndef SESSION_MODULE_SCHEMA_H
#define SESSION_MODULE_SCHEMA_H

#include "session/db.h"
#include "session/module_files.h"

/* What there is after module_schema_migrate(). */
struct module_schema {
	int version;          /* of the last migration that was applied; 0: none */
	size_t change_count;  /* files that are no longer what was applied */
	const char **changes; /* their names without .sql, on `ctx` */
};

/*
 * Apply what is missing of the module's migrations to the schema that has its name, which is made by the first; as the
 * owner of the daemon's tables, also where a superuser runs this, under the lock of migrations, each in a transaction.
 * `applied` (may be NULL) is called after each. DB_ERROR with the reason as db_problem(): also when there is a schema
 * of that name which is not the module's, and when more was applied than there are files.
 */
enum db_status module_schema_migrate(struct db *db, TALLOC_CTX *ctx, const char *module,
                                     const struct module_migrations *migrations,
                                     void (*applied)(const char *module, const struct module_migration *migration),
                                     struct module_schema *schema);

/*
 * Are all of them applied? DB_ERROR with the reason as db_problem(), which says what is missing and what cures that;
 * also when more was applied than there are files.
 */
enum db_status module_schema_check(struct db *db, TALLOC_CTX *ctx, const char *module,
                                   const struct module_migrations *migrations);

/* Give `role` the rights to read and write the rows of the module's schema, and no more there. */
enum db_status module_schema_grant(struct db *db, const char *module, const char *role);

#endif
