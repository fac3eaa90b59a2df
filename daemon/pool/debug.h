/* Serving in one process, for gdb and valgrind: onesessiond --debug. */
#ifndef POOL_DEBUG_H
#define POOL_DEBUG_H

#include "pool/master.h"

/*
 * Be the only worker, with neither filter nor deadline for requests; only passwords are hashed by another process.
 * Modules are loaded by their paths. Until INT, TERM or QUIT. Returns the exit status of the program.
 */
int debug_run(const struct master_setup *setup);

#endif
