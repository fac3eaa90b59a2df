/* The schema's version, its migrations, sequences and rights. */
#include "session/schema.h"

#include "session/migrations.h"
#include "session/sql.h"
#include "session/transaction.h"

#include <stdio.h>
#include <string.h>

int schema_version(void)
{
	return migrations[migration_count - 1].version;
}

static enum db_status refuse_schema(struct db *db, const char *problem)
{
	db_set_problem(db, problem);
	return DB_ERROR;
}

enum db_status schema_read_version(struct db *db, TALLOC_CTX *ctx, int *version)
{
	char problem[160];
	struct db_result *row;
	enum db_status status = db_query(db, ctx, &sql_inspect_database, NULL, 0, &row);

	*version = 0;
	if (status != DB_OK)
		return status;
	if (strcmp(db_text(row, 0, 0), "UTF8") != 0) {
		(void)snprintf(problem, sizeof problem, "the database's encoding is %s, it must be UTF8",
		               db_text(row, 0, 0));
		return refuse_schema(db, problem);
	}
	if (!db_bool(row, 0, 1))
		return DB_OK;
	status = db_query(db, ctx, &sql_schema_version, NULL, 0, &row);
	if (status != DB_OK)
		return status;
	*version = (int)db_int(row, 0, 0);
	if (*version > schema_version()) {
		(void)snprintf(problem, sizeof problem,
		               "the database's schema is version %d, this program knows no later than %d: "
		               "install the newer onesession",
		               *version, schema_version());
		return refuse_schema(db, problem);
	}
	return DB_OK;
}

static enum db_status apply(struct db *db, const struct schema_migration *migration)
{
	const struct db_value values[] = {DB_INT(migration->version), DB_TEXT(migration->name)};
	enum db_status status = db_script(db, migration->sql);

	return status == DB_OK ? db_query(db, NULL, &sql_record_migration, values, 2, NULL) : status;
}

struct migrating {
	TALLOC_CTX *ctx;
	const struct schema_migration *next; /* that was applied; NULL: there was none */
};

/* Under the lock, apply the one migration that is next. */
static enum db_status apply_next(struct db *db, void *context)
{
	struct migrating *migrating = context;
	int version;
	enum db_status status = db_query(db, NULL, &sql_lock_migrations, NULL, 0, NULL);

	if (status != DB_OK)
		return status;
	status = schema_read_version(db, migrating->ctx, &version);
	if (status != DB_OK)
		return status;
	for (size_t i = 0; i < migration_count; i++) {
		if (migrations[i].version > version) {
			migrating->next = &migrations[i];
			return apply(db, migrating->next);
		}
	}
	return DB_OK;
}

enum db_status schema_migrate(struct db *db, void (*applied)(const struct schema_migration *migration))
{
	struct migrating migrating = {.ctx = talloc_new(NULL)};
	enum db_status status;

	do {
		migrating.next = NULL;
		status = transaction_run(db, TRANSACTION_ONCE, apply_next, &migrating);
		if (status == DB_OK && migrating.next != NULL && applied != NULL)
			applied(migrating.next);
	} while (status == DB_OK && migrating.next != NULL);
	talloc_free(migrating.ctx);
	return status;
}

enum db_status schema_connection_limit(struct db *db, int64_t *limit)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *rows;
	enum db_status status = db_query(db, scratch, &sql_connection_limit, NULL, 0, &rows);

	if (status == DB_OK)
		*limit = db_int(rows, 0, 0);
	talloc_free(scratch);
	return status;
}

static enum db_status sequences(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement,
                                struct sequence_list *list)
{
	struct db_result *rows;
	enum db_status status = db_query(db, ctx, statement, NULL, 0, &rows);

	*list = (struct sequence_list){0};
	if (status != DB_OK)
		return status;
	for (; list->count < db_rows(rows) && list->count < SEQUENCES_MAX; list->count++)
		list->all[list->count] = (struct sequence){
			.name = db_text(rows, list->count, 0),
			.table = db_text(rows, list->count, 1),
		};
	return DB_OK;
}

enum db_status schema_sequences_behind(struct db *db, TALLOC_CTX *ctx, struct sequence_list *behind)
{
	struct db_result *row;
	enum db_status status = db_query(db, ctx, &sql_sequences_are_free, NULL, 0, &row);

	*behind = (struct sequence_list){0};
	if (status != DB_OK || !db_bool(row, 0, 0))
		return status;
	return sequences(db, ctx, &sql_sequences_behind, behind);
}

enum db_status schema_advance_sequences(struct db *db, TALLOC_CTX *ctx, struct sequence_list *advanced)
{
	return sequences(db, ctx, &sql_advance_sequences, advanced);
}

const char *schema_sequence_problem(TALLOC_CTX *ctx, const struct sequence *sequence)
{
	const char *text = talloc_asprintf(ctx,
	                                   "the sequence %s is behind the rows of %s: run onesessionctl migrate, "
	                                   "which sets it forward",
	                                   sequence->name, sequence->table);

	return text != NULL ? text : "a sequence is behind the rows of its table: run onesessionctl migrate";
}

void schema_explain_duplicate(struct db *db)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	char *former = talloc_strdup(scratch, db_problem(db));
	struct sequence_list behind;

	if (schema_sequences_behind(db, scratch, &behind) == DB_OK && behind.count > 0)
		db_set_problem(db, schema_sequence_problem(scratch, &behind.all[0]));
	else if (former != NULL)
		db_set_problem(db, former);
	talloc_free(scratch);
}

enum db_status schema_run_grants(struct db *db, const struct db_statement *composed, const struct db_value values[],
                                 size_t count)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = db_query(db, scratch, composed, values, count, &row);

	if (status == DB_OK && db_rows(row) == 0)
		status = refuse_schema(db, "there is no such role");
	else if (status == DB_OK && db_bool(row, 0, 1))
		status =
			refuse_schema(db, "it has all rights of the tables' owner: the daemon needs a role of its own");
	else if (status == DB_OK)
		status = db_script(db, db_text(row, 0, 0));
	talloc_free(scratch);
	return status;
}

enum db_status schema_grant(struct db *db, const char *role)
{
	const struct db_value values[] = {DB_TEXT(role)};

	return schema_run_grants(db, &sql_compose_grants, values, 1);
}

enum db_status schema_missing_rights(struct db *db, TALLOC_CTX *ctx, const char **problem)
{
	struct db_result *row;
	enum db_status status = db_query(db, ctx, &sql_missing_rights, NULL, 0, &row);

	*problem = NULL;
	if (status != DB_OK || db_is_null(row, 0, 1))
		return status;
	*problem = talloc_asprintf(ctx, "the role %s lacks rights to %s: run onesessionctl migrate --grant %s",
	                           db_text(row, 0, 0), db_text(row, 0, 1), db_text(row, 0, 0));
	return *problem != NULL ? DB_OK : db_out_of_memory(db);
}
