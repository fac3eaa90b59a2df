/* The files of schema/, built in. */
#include "session/migrations.h"

#include "base/built_in.h"

/* The Makefile makes migrations.inc from the folder schema: MIGRATION(version, "name") for each file. */
#define MIGRATION(version, name) BUILT_IN(migration_##version, "schema/" name ".sql");
#include "migrations.inc"
#undef MIGRATION

const struct schema_migration migrations[] = {
#define MIGRATION(version, name) {version, name, migration_##version},
#include "migrations.inc"
#undef MIGRATION
};

const size_t migration_count = sizeof migrations / sizeof migrations[0];
