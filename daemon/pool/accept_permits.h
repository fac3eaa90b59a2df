/*
 * Accept permits: a few workers listen, one for two processors, and the others wait for a permit. Were all of them to
 * listen, each connection would wake another worker, look-ups would come in ones and twos, and on a busy machine all
 * would wait for the processor together. A worker that is about to wait for something releases its permit, which wakes
 * the next one; the permit of a worker that dies is released by the master.
 *
 * A semaphore of eventfd(2): reading it takes a permit, writing releases one.
 */
#ifndef POOL_ACCEPT_PERMITS_H
#define POOL_ACCEPT_PERMITS_H

#include <stdbool.h>
#include <stddef.h>

/* As many as this machine has use for. */
size_t accept_permits_default(void);

/* A descriptor for `count` of them, non-blocking. -1 with errno. */
int accept_permits_open(size_t count);

/* Take one, if there is one. */
bool accept_permits_take(int accept_permits);

void accept_permits_release(int accept_permits);

/* Take away or add what makes `taken` and those that are left as many as `count`. */
void accept_permits_audit(int accept_permits, size_t count, size_t taken);

#endif
