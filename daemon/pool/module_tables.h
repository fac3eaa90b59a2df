/* Are the migrations of a generation's modules applied? */
#ifndef POOL_MODULE_TABLES_H
#define POOL_MODULE_TABLES_H

#include "pool/generation.h"
#include "session/db.h"

/*
 * Compare the files beside the modules with what the database says was applied. DB_OK; DB_ERROR with db_problem(),
 * which names the module, what is missing of it and the cure; DB_UNAVAILABLE.
 */
enum db_status module_tables_check(struct db *db, const struct generation *generation);

#endif
