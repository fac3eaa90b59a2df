/*
 * A reload, in steps: the new configuration is read, a helper loads its modules, a probe connects to its database, its
 * workers come up beside the old ones, and the old ones retire. What goes wrong before that refuses it, and the old
 * generation stays.
 */
#ifndef POOL_RELOAD_H
#define POOL_RELOAD_H

#include "pool/master_core.h"

/* Begin one, or remember that it was asked for, when it cannot begin yet. */
void reload_begin(struct master *master);

/* Go on with the one under way, as far as it has come. */
void reload_step(struct master *master);

/* A child of the master's has ended. Returns false when it was neither the helper nor the probe. */
bool reload_reap(struct master *master, pid_t pid, int status);

/* Free the generations whose last workers have ended. */
void reload_free_retired(struct master *master);

#endif
