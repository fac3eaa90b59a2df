/* The migrations of a module, as files: read, numbered without a gap, and writable by those only who may. */
#ifndef SESSION_MODULE_FILES_H
#define SESSION_MODULE_FILES_H

#include "base/problem.h"

#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>

/* SHA-256 in hexadecimal, with the NUL. */
#define MODULE_SHA256_SIZE 65

struct module_migration {
	int version;
	const char *name; /* the file's, without .sql: "0001_titles" */
	const char *sql;
	char sha256[MODULE_SHA256_SIZE];
};

/* In the order of their versions, which begin at 1 and leave none out. */
struct module_migrations {
	size_t count;
	struct module_migration *all;
};

/* Can a module, and so its schema, have that name? NULL, or what stands against it. */
const char *module_name_problem(const char *name);

/*
 * The folder of a module's migrations, on `ctx`: the one that it names, `declared`, or NAME/migrations for NULL, beside
 * its object itself, whatever link leads there. NULL when out of memory.
 */
const char *module_files_folder(TALLOC_CTX *ctx, const char *object, const char *name, const char *declared);

/*
 * Read the folder: files called NNNN_name.sql and nothing else, but for what begins with a dot. It and the files must
 * belong to root or to the user who runs this, and be writable by no other. On `ctx`; NULL with *problem, which names
 * the file. `is_absent`: there is no such folder.
 */
struct module_migrations *module_files_read(TALLOC_CTX *ctx, const char *folder, bool *is_absent,
                                            struct problem *problem);

/*
 * Those of a module, found and read as by the two above. Returns 0, with NULL for a module that names no folder and has
 * none, or -1 with *problem, which names the module.
 */
int module_files_of(TALLOC_CTX *ctx, const char *object, const char *name, const char *declared,
                    struct module_migrations **migrations, struct problem *problem);

#endif
