/* The signals that a process of the pool is told by, as a descriptor: one that is always busy would run no handler. */
#ifndef POOL_SIGNALS_FD_H
#define POOL_SIGNALS_FD_H

#include <stdbool.h>

/* A signalfd(2), non-blocking, of signals that are blocked already. -1 with errno. */
int signals_fd_open(void);

/* Take what has come: SIGUSR1 reopens the log. True when the process is to stop. */
bool signals_fd_read(int fd);

#endif
