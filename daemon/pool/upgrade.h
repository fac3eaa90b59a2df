/* An upgrade, in steps: a new binary is started on our sockets, its workers come up, and ours stop. */
#ifndef POOL_UPGRADE_H
#define POOL_UPGRADE_H

#include "pool/master_core.h"

/* Begin one, or remember that it was asked for, when it cannot begin yet. */
void upgrade_begin(struct master *master);

/* Go on with the one under way, as far as it has come. */
void upgrade_step(struct master *master);

/* A child of the master's has ended. Returns false when it was not the new master. */
bool upgrade_reap(struct master *master, pid_t pid, int status);

#endif
