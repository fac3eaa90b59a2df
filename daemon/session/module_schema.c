/* The schema of a module: its migrations applied in their order, each once, and the daemon's rights in it. */
#include "session/module_schema.h"

#include "session/schema.h"
#include "session/sql.h"
#include "session/transaction.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static enum db_status refuse(struct db *db, const char *format, ...)
{
	char problem[512];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(problem, sizeof problem, format, arguments);
	va_end(arguments);
	db_set_problem(db, problem);
	return DB_ERROR;
}

struct migrating {
	TALLOC_CTX *ctx;
	const char *module;
	const struct module_migrations *migrations;
	struct module_schema *schema;
	const struct module_migration *next; /* that was applied; NULL: there was none */
};

/* The line in which the character of that number stands, counted from 1. */
static int line_of(const char *sql, int position)
{
	int line = 1;

	for (; position > 1 && *sql != '\0'; sql++) {
		if (*sql == '\n')
			line++;
		/* Bytes that go on with a character are none of their own. */
		if (((unsigned char)sql[1] & 0xC0) != 0x80)
			position--;
	}
	return line;
}

/* What the server has against the migration, with its place. */
static enum db_status explain(struct db *db, const struct migrating *migrating,
                              const struct module_migration *migration, enum db_status status)
{
	int position = db_failure(db)->position;
	char problem[400];

	(void)snprintf(problem, sizeof problem, "%s", db_problem(db));
	if (position > 0)
		(void)refuse(db, "module %s: %s.sql, line %d: %s", migrating->module, migration->name,
		             line_of(migration->sql, position), problem);
	else
		(void)refuse(db, "module %s: %s.sql: %s", migrating->module, migration->name, problem);
	return status == DB_UNAVAILABLE ? status : DB_ERROR;
}

/* Which transaction it is, and who runs it. */
struct transaction_state {
	const char *id, *user;
};

static enum db_status read_state(struct db *db, TALLOC_CTX *ctx, struct transaction_state *state)
{
	struct db_result *row;
	enum db_status status = db_query(db, ctx, &sql_transaction_state, NULL, 0, &row);

	*state = (struct transaction_state){"", ""};
	if (status == DB_OK)
		*state = (struct transaction_state){db_text(row, 0, 0), db_text(row, 0, 1)};
	return status;
}

/* What a migration must not have done, whatever else it did. */
static enum db_status check_state(struct db *db, const struct migrating *migrating,
                                  const struct module_migration *migration, const struct transaction_state *before,
                                  const struct transaction_state *after)
{
	if (strcmp(before->id, after->id) != 0)
		return refuse(db,
		              "module %s: %s.sql ends the transaction that it runs in: what stands before its COMMIT "
		              "or ROLLBACK may have been done. Migrations have none of these",
		              migrating->module, migration->name);
	if (strcmp(before->user, after->user) != 0)
		return refuse(
			db,
			"module %s: %s.sql changes the role that runs it from %s to %s: migrations are run by the "
			"owner of the daemon's tables, whoever calls onesessionctl",
			migrating->module, migration->name, before->user, after->user);
	return DB_OK;
}

/* Run it, as the tables' owner and in the module's schema. */
static enum db_status run_migration(struct db *db, const struct migrating *migrating, const char *enter,
                                    const struct module_migration *migration)
{
	const struct db_value values[] = {DB_TEXT(migrating->module), DB_INT(migration->version),
	                                  DB_TEXT(migration->name), DB_TEXT(migration->sha256)};
	struct transaction_state before, after;
	enum db_status status = db_script(db, enter);

	if (status == DB_OK)
		status = read_state(db, migrating->ctx, &before);
	if (status != DB_OK)
		return status;
	status = db_script(db, migration->sql);
	if (status != DB_OK)
		return explain(db, migrating, migration, status);
	status = read_state(db, migrating->ctx, &after);
	if (status == DB_OK)
		status = check_state(db, migrating, migration, &before, &after);
	/* What it has set, as what pg_dump writes does, is not for the next one. */
	if (status == DB_OK)
		status = db_restore_settings(db);
	return status == DB_OK ? db_query(db, NULL, &sql_record_module_migration, values, 4, NULL) : status;
}

/* The daemon's own schema has to be there, and at this version. */
static enum db_status check_daemon_s(struct db *db, TALLOC_CTX *ctx)
{
	int version;
	enum db_status status = schema_read_version(db, ctx, &version);

	if (status == DB_OK && version != schema_version())
		return refuse(db, "the daemon's own tables come first: run onesessionctl migrate");
	return status;
}

/* What was applied before, beside the files. */
static enum db_status compare(struct db *db, struct migrating *migrating)
{
	const struct db_value values[] = {DB_TEXT(migrating->module)};
	const struct module_migrations *migrations = migrating->migrations;
	struct module_schema *schema = migrating->schema;
	struct db_result *rows;
	enum db_status status = db_query(db, migrating->ctx, &sql_module_migrations, values, 1, &rows);

	if (status != DB_OK)
		return status;
	*schema = (struct module_schema){
		.version = (int)db_rows(rows),
		.changes = talloc_array(migrating->ctx, const char *, (unsigned)db_rows(rows) + 1)};
	if (schema->changes == NULL)
		return db_out_of_memory(db);
	if (db_rows(rows) > migrations->count)
		return refuse(db,
		              "module %s: its schema is at version %d, and there are files up to %zu only: install the "
		              "newer module",
		              migrating->module, schema->version, migrations->count);
	for (size_t i = 0; i < db_rows(rows); i++) {
		const struct module_migration *migration = &migrations->all[i];

		if (strcmp(migration->name, db_text(rows, i, 1)) != 0 ||
		    strcmp(migration->sha256, db_text(rows, i, 2)) != 0)
			schema->changes[schema->change_count++] = migration->name;
	}
	return DB_OK;
}

/* Under the lock, apply the one migration that is next. */
static enum db_status apply_next(struct db *db, void *context)
{
	struct migrating *migrating = context;
	const struct db_value values[] = {DB_TEXT(migrating->module)};
	const struct module_migration *next;
	struct db_result *row;
	enum db_status status = db_query(db, NULL, &sql_lock_migrations, NULL, 0, NULL);

	if (status == DB_OK)
		status = check_daemon_s(db, migrating->ctx);
	if (status == DB_OK)
		status = compare(db, migrating);
	if (status != DB_OK || (size_t)migrating->schema->version == migrating->migrations->count)
		return status;
	next = &migrating->migrations->all[migrating->schema->version];
	status = db_query(db, migrating->ctx, &sql_module_state, values, 1, &row);
	if (status != DB_OK)
		return status;
	if (next->version == 1 && !db_bool(row, 0, MODULE_STATE_IS_FREE))
		return refuse(db,
		              "module %s: there is a schema %s already that has other things in it or another owner: "
		              "rename or remove it",
		              migrating->module, migrating->module);
	if (!db_bool(row, 0, MODULE_STATE_EXISTS))
		status = db_script(db, db_text(row, 0, MODULE_STATE_CREATE));
	if (status == DB_OK)
		status = run_migration(db, migrating, db_text(row, 0, MODULE_STATE_ENTER), next);
	if (status == DB_OK)
		migrating->next = next;
	return status;
}

enum db_status module_schema_migrate(struct db *db, TALLOC_CTX *ctx, const char *module,
                                     const struct module_migrations *migrations,
                                     void (*applied)(const char *module, const struct module_migration *migration),
                                     struct module_schema *schema)
{
	struct migrating migrating = {.ctx = ctx, .module = module, .migrations = migrations, .schema = schema};
	enum db_status status;

	do {
		migrating.next = NULL;
		status = transaction_run(db, TRANSACTION_ONCE, apply_next, &migrating);
		if (status == DB_OK && migrating.next != NULL && applied != NULL)
			applied(module, migrating.next);
	} while (status == DB_OK && migrating.next != NULL);
	return status;
}

/* The names of those after `version`. NULL when out of memory. */
static const char *names_after(TALLOC_CTX *ctx, const struct module_migrations *migrations, int version)
{
	char *names = talloc_strdup(ctx, migrations->all[version].name);

	for (size_t i = (size_t)version + 1; names != NULL && i < migrations->count; i++)
		names = talloc_asprintf_append_buffer(names, ", %s", migrations->all[i].name);
	return names;
}

enum db_status module_schema_check(struct db *db, TALLOC_CTX *ctx, const char *module,
                                   const struct module_migrations *migrations)
{
	struct module_schema schema = {0};
	struct migrating migrating = {.ctx = ctx, .module = module, .migrations = migrations, .schema = &schema};
	enum db_status status = compare(db, &migrating);
	const char *missing;

	if (status != DB_OK || (size_t)schema.version == migrations->count)
		return status;
	missing = names_after(ctx, migrations, schema.version);
	if (missing == NULL)
		return db_out_of_memory(db);
	return refuse(db, "module %s: run onesessionctl migrate, for of its migrations these are not applied: %s",
	              module, missing);
}

enum db_status module_schema_grant(struct db *db, const char *module, const char *role)
{
	const struct db_value values[] = {DB_TEXT(role), DB_TEXT(module)};

	return schema_run_grants(db, &sql_compose_module_grants, values, 2);
}
