/* Forking the master's children, which end with it, and have names of their own in ps(1). */
#ifndef POOL_SPAWN_H
#define POOL_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

/* The signals that the master takes one by one in its loop: every child begins with them blocked. */
extern const int master_signals[];
extern const size_t master_signal_count;

/*
 * Fork a child that does not outlive this process. As fork(2), logged. It has its `name`, of 15 bytes at the most, from
 * the first moment (prctl(2), PR_SET_NAME): one that named itself would be taken for a worker until it did. NULL: ours.
 */
pid_t spawn_child(const char *name);

/* The same, for a process that runs to its end by itself: its signals are as usual again. */
pid_t spawn_helper(const char *name);

#endif
