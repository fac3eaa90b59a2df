/* What our processes can no longer do, should an attacker ever make them run code of his own. */
#ifndef POOL_SANDBOX_H
#define POOL_SANDBOX_H

#include "base/problem.h"

/*
 * For the whole daemon, once it has given up root: no program that it starts gains rights (prctl(2),
 * PR_SET_NO_NEW_PRIVS), and other processes of the same user cannot read its memory (PR_SET_DUMPABLE).
 * Returns 0, or -1 with *problem.
 */
int sandbox_enter(struct problem *problem);

/*
 * For a process that serves, with all the threads that it has: only the system calls that serving takes (seccomp(2)).
 * Starting a program or looking into another process kills it; any other call that is not on the list fails with
 * EPERM: among them all that start a thread, or have a signal sent to another process.
 * Returns 0, or -1 with errno.
 */
int sandbox_restrict(void);

#endif
