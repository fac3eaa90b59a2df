/*
 * Seats at the listening sockets: a few workers listen, one for two processors, and the others wait for a seat. Were
 * all of them to listen, each connection would wake another one, look-ups would come in ones and twos, and on a busy
 * machine all would wait for the processor together. Who is about to wait for something gives its seat up, which wakes
 * the next; who dies in it leaves it to the master to put back.
 *
 * A semaphore of eventfd(2): reading it takes a seat, writing gives one back.
 */
#ifndef POOL_ACCEPT_PERMITS_H
#define POOL_ACCEPT_PERMITS_H

#include <stdbool.h>
#include <stddef.h>

/* As many as this machine has use for; of a descriptor that is non-blocking. -1 with errno. */
size_t accept_permits_default(void);
int accept_permits_open(size_t count);

/* Take one, if there is one. */
bool accept_permits_take(int accept_permits);

void accept_permits_release(int accept_permits);

/* Take away or add what makes `taken` and those that are left as many as `count`. */
void accept_permits_audit(int accept_permits, size_t count, size_t taken);

#endif
