/* Are the migrations of a generation's modules applied? */
#include "pool/module_tables.h"

#include "session/module_schema.h"

static enum db_status check_one(struct db *db, TALLOC_CTX *ctx, const struct module_file *file,
                                const struct module *module)
{
	struct module_migrations *migrations;
	struct problem problem = {0};

	if (module_files_of(ctx, file->path, module->name, module->migrations, &migrations, &problem) != 0) {
		db_set_problem(db, problem.text);
		return DB_ERROR;
	}
	return migrations != NULL ? module_schema_check(db, ctx, module->name, migrations) : DB_OK;
}

enum db_status module_tables_check(struct db *db, const struct generation *generation)
{
	const struct modules *modules = generation->modules;
	TALLOC_CTX *scratch = talloc_new(NULL);
	enum db_status status = DB_OK;

	/* The first is the daemon's own, and has no file. */
	for (size_t i = 0; status == DB_OK && i < modules->count; i++)
		status = check_one(db, scratch, modules->files[i], generation->app->modules[i + 1]);
	talloc_free(scratch);
	return status;
}
