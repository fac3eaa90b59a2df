/* onesessionctl migrate: the tables of modules. */
#include "ctl/modules.h"

/* The Makefile makes it: MODULES_FOLDER, where the modules are that server.modules calls by their names. */
#include "moduledir.h"

#include "ctl/module_object.h"
#include "ctl/output.h"
#include "session/module_schema.h"

#include <stdlib.h>
#include <string.h>

static void tell_applied(const char *module, const struct module_migration *migration)
{
	(void)output_line("Applied %s of the module %s.", migration->name, module);
}

static void tell(const struct ctl *ctl, const char *module, const struct module_schema *schema)
{
	(void)output_line("The schema %s is at version %d.", module, schema->version);
	if (ctl->role != NULL && schema->version > 0)
		(void)output_line("The role %s may read and write the rows of %s.", ctl->role, module);
	for (size_t i = 0; i < schema->change_count; i++)
		(void)output_line("Beware: %s.sql of the module %s is not what was applied; a change needs a file of "
		                  "its own with the next number.",
		                  schema->changes[i], module);
}

static int migrate(struct ctl *ctl, const char *module, const struct module_migrations *migrations, json_t *told)
{
	struct module_schema schema;
	enum db_status status =
		module_schema_migrate(ctl->db, ctl->ctx, module, migrations, ctl->json ? NULL : tell_applied, &schema);

	if (status == DB_ERROR)
		return fail("%s", db_problem(ctl->db));
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (ctl->role != NULL && schema.version > 0 && module_schema_grant(ctl->db, module, ctl->role) != DB_OK)
		return fail("cannot give the role %s its rights to the schema %s: %s", ctl->role, module,
		            db_problem(ctl->db));
	if (!ctl->json)
		tell(ctl, module, &schema);
	if (json_array_append_new(
		    told, json_pack("{s:s, s:i, s:o}", "module", module, "version", schema.version, "changed",
	                            output_names((const char *const *)schema.changes, schema.change_count))) != 0)
		return fail("out of memory");
	return EXIT_SUCCESS;
}

/* `may_be_absent`: a module without the folder has no tables. */
static int migrate_from(struct ctl *ctl, const char *module, const char *folder, bool may_be_absent, json_t *told)
{
	const char *wrong = module_name_problem(module);
	const struct module_migrations *migrations;
	struct problem problem = {0};
	bool is_absent;

	if (wrong != NULL)
		return fail("module %s: %s", module, wrong);
	migrations = module_files_read(ctl->ctx, folder, &is_absent, &problem);
	if (migrations != NULL)
		return migrate(ctl, module, migrations, told);
	return is_absent && may_be_absent ? EXIT_SUCCESS : fail("module %s: %s", module, problem.text);
}

/* A module, and where its migrations are. */
struct located {
	const char *module;
	const char *folder;
	bool may_be_absent; /* it does not say that it has any */
};

/*
 * A word of server.modules. What the object says of itself counts; where there is none that says anything, as before it
 * is installed, the names go by its own. False: no memory.
 */
static bool locate(TALLOC_CTX *ctx, const char *word, struct located *located)
{
	const char *slash = strrchr(word, '/');
	const char *file = slash != NULL ? slash + 1 : word;
	const char *object = slash != NULL ? word : talloc_asprintf(ctx, MODULES_FOLDER "/%s.so", word);
	const struct module_object *said = object != NULL ? module_object_read(ctx, object) : NULL;
	size_t length = strlen(file);

	if (slash != NULL && length > strlen(".so") && strcmp(file + length - strlen(".so"), ".so") == 0)
		length -= strlen(".so");
	located->module = said != NULL ? said->name : talloc_strndup(ctx, file, length);
	located->may_be_absent = said == NULL || said->migrations == NULL;
	if (object == NULL || located->module == NULL)
		return false;
	located->folder = module_files_folder(ctx, object, located->module, said != NULL ? said->migrations : NULL);
	return located->folder != NULL;
}

int modules_migrate(struct ctl *ctl, json_t *told)
{
	char *words = talloc_strdup(ctl->ctx, ctl->settings.server.modules);
	struct located located;
	const char *word;
	int result = EXIT_SUCCESS;

	if (words == NULL)
		return fail("out of memory");
	while (result == EXIT_SUCCESS && (word = strsep(&words, " \t")) != NULL) {
		if (word[0] == '\0')
			continue;
		if (!locate(ctl->ctx, word, &located))
			return fail("out of memory");
		result = migrate_from(ctl, located.module, located.folder, located.may_be_absent, told);
	}
	return result;
}

int modules_migrate_one(struct ctl *ctl, json_t *told)
{
	char *words = talloc_strdup(ctl->ctx, ctl->settings.server.modules);
	struct located located;
	const char *word;

	if (words == NULL)
		return fail("out of memory");
	if (ctl->folder != NULL)
		return migrate_from(ctl, ctl->module, ctl->folder, false, told);
	while ((word = strsep(&words, " \t")) != NULL) {
		if (word[0] != '\0' && locate(ctl->ctx, word, &located) && strcmp(located.module, ctl->module) == 0)
			return migrate_from(ctl, located.module, located.folder, false, told);
	}
	if (!locate(ctl->ctx, ctl->module, &located))
		return fail("out of memory");
	return migrate_from(ctl, ctl->module, located.folder, false, told);
}
