/* Stopping, in steps: the fallback worker ends first and forwards what it has, then the workers, then the hasher. */
#ifndef POOL_STOP_H
#define POOL_STOP_H

#include "pool/master_core.h"

/* Finish the requests under way, within server.shutdown_timeout. */
void stop_begin(struct master *master, const char *why);

/* Go on, as far as it has come. */
void stop_step(struct master *master);

/* Kill all processes. */
void stop_at_once(struct master *master, const char *why);

#endif
