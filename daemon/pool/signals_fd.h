/*
 * The signals that the master sends to a process of the pool, as a descriptor: a process that is always busy never
 * waits with its signals unblocked, and would run no handler.
 */
#ifndef POOL_SIGNALS_FD_H
#define POOL_SIGNALS_FD_H

#include <stdbool.h>

/* A signalfd(2), non-blocking, of signals that are blocked already. -1 with errno. */
int signals_fd_open(void);

/* Take what has come: SIGUSR1 reopens the log. True when the process is to stop. */
bool signals_fd_read(int fd);

#endif
