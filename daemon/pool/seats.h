/*
 * Seats at the listening sockets: a few workers listen, one for two processors, and the others wait for a seat. Were
 * all of them to listen, each connection would wake another one, look-ups would come in ones and twos, and on a busy
 * machine all would wait for the processor together. Who is about to wait for something gives its seat up, which wakes
 * the next; who dies in it leaves it to the master to put back.
 *
 * A semaphore of eventfd(2): reading it takes a seat, writing gives one back.
 */
#ifndef POOL_SEATS_H
#define POOL_SEATS_H

#include <stdbool.h>
#include <stddef.h>

/* As many as this machine has use for; of a descriptor that is non-blocking. -1 with errno. */
size_t seats_wanted(void);
int seats_open(size_t count);

/* Take one, if there is one. */
bool seats_take(int seats);

void seats_give_back(int seats);

/* Take away or add what makes `taken` and those that are left as many as `count`. */
void seats_audit(int seats, size_t count, size_t taken);

#endif
