/*
 * The master: forks the workers, supervises them and replaces them. It serves no request and holds no database
 * connection, so nothing that a worker meets can bring it down.
 */
#ifndef POOL_MASTER_H
#define POOL_MASTER_H

#include "base/problem.h"
#include "pool/generation.h"
#include "pool/listeners.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <talloc.h>

struct master_setup {
	TALLOC_CTX *ctx;
	const struct config_source *source; /* to be read again by a reload */
	struct generation *generation;      /* prepared */
	const struct ones_module *own;      /* the daemon's own module */
	const struct listeners *listeners;
	struct scoreboard *board;
	uid_t starter;       /* the user who started us, before any privileges were dropped */
	const char *program; /* the absolute path of our binary, for an upgrade */
	char *const *argv;
	int upgraded_from; /* see successor_inherited() */
	bool is_debugged;  /* see debug.h */
};

/*
 * Block the signals that the master takes one by one in its loop, so that none is lost and none interrupts anything.
 * To be called before fcgi_init() and before any fork. Returns 0, or -1 with *problem.
 */
int master_block_signals(struct problem *problem);

/* Run until a signal stops it. Returns the exit status of the program. */
int master_run(const struct master_setup *setup);

#endif
