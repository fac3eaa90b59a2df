/*
 * The role of the fallback worker, which has no database. It takes connections only while every regular worker has been
 * busy for a while, answers what needs no database, above all /status, and forwards all others, untouched, to the
 * worker that is free first. It ends by itself when it is not needed any more.
 */
#ifndef POOL_FALLBACK_H
#define POOL_FALLBACK_H

#include "pool/worker_core.h"

extern const struct worker_role fallback_role;

#endif
