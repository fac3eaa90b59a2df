/*
 * The role of a guard worker (server.guard_workers): as a regular one, but it runs the daemon's own routes only, so
 * that one is free for guard and sign-in whatever the handlers of modules do. A foreign request that it accepts is
 * forwarded to the regular worker that is free first. It is answered with 503 when too many wait, or when it has waited
 * for half of server.request_timeout, so that waiting and running are over within the time that web servers wait.
 */
#ifndef POOL_GUARD_H
#define POOL_GUARD_H

#include "pool/worker_core.h"

extern const struct worker_role guard_role;

#endif
