/* The files of schema/, built in. */
#ifndef SESSION_MIGRATIONS_H
#define SESSION_MIGRATIONS_H

#include "session/schema.h"

#include <stddef.h>

/* In the order of their versions, which begin at 1 and leave none out. */
extern const struct schema_migration migrations[];
extern const size_t migration_count;

#endif
