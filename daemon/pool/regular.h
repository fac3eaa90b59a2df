/*
 * The role of a regular worker: it has a database connection and a channel to the hasher, listens when it has an accept
 * permit, takes the connections that others forward, and runs every route. Where guard workers are kept (guard.h) it
 * leaves them what it could not forward to another worker before a foreign handler: passwords to be checked, bodies
 * that are still to come.
 */
#ifndef POOL_REGULAR_H
#define POOL_REGULAR_H

#include "pool/worker_core.h"

extern const struct worker_role regular_role;

#endif
