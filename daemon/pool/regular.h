/*
 * The role of a regular worker: it has a database connection and a channel to the hasher, listens when it has an accept
 * permit, and takes the connections that others forward. What server.workers counts.
 */
#ifndef POOL_REGULAR_H
#define POOL_REGULAR_H

#include "pool/worker_core.h"

extern const struct worker_role regular_role;

#endif
