/* What our processes can no longer do, should an attacker ever make them run code of his own. */
#ifndef POOL_SANDBOX_H
#define POOL_SANDBOX_H

#include "base/problem.h"
#include "onesession.h"

/*
 * For the whole daemon, once it has given up root: no program that it starts gains rights (prctl(2),
 * PR_SET_NO_NEW_PRIVS), and other processes of the same user cannot read its memory (PR_SET_DUMPABLE).
 * Returns 0, or -1 with *problem.
 */
int sandbox_enter(struct problem *problem);

/* What a process may do besides serving; flags. */
enum sandbox_more {
	SANDBOX_FILES = 1,    /* give files names, and take them away */
	SANDBOX_THREADS = 2,  /* have threads, as name resolution in the background takes one */
	SANDBOX_CHILDREN = 4, /* have children, which then restrict themselves further, and signal them: for the process
	                         that runs jobs, in which no code of a module runs once it is restricted */
};

/* SANDBOX_FILES where modules keep files, else 0. */
unsigned int sandbox_files(const struct ones_app *app);

/*
 * For a process that serves, with all the threads that it has: only the system calls that serving takes (seccomp(2)),
 * and what `more` allows. Starting a program or looking into another process kills it; any other call that is not on
 * the list fails with EPERM: among them all that start a thread, or have a signal sent to another process.
 * Returns 0, or -1 with errno.
 */
int sandbox_restrict(unsigned int more);

#endif
