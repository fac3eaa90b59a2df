/* What the roles of workers share that have a database connection and a channel to the hasher: hooks of a role. */
#ifndef POOL_SERVING_H
#define POOL_SERVING_H

#include "pool/worker_core.h"

int serving_open(struct worker *worker);
bool serving_defers(struct worker *worker);
void serving_begin_to_stop(struct worker *worker);
void serving_take_remaining(struct worker *worker);
bool serving_is_unneeded(const struct worker *worker);

#endif
