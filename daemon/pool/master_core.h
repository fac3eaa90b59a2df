/* What the files of the master share: its state, of which the parts belong to reload.c, upgrade.c, stop.c, helpers.c.
 */
#ifndef POOL_MASTER_CORE_H
#define POOL_MASTER_CORE_H

#include "pool/children.h"
#include "pool/helpers.h"
#include "pool/master.h"
#include "pool/module_check.h"
#include "pool/successor.h"

/* Generations whose last workers may be about to end at the same time: a further reload waits. */
#define RETIRED_MAX 8

struct reload {
	struct generation *next;   /* NULL: no reload is under way */
	struct module_check check; /* of its modules */
	pid_t probe;               /* of its database, after that; 0: it does not run */
	int64_t give_up_at;        /* on the probe, then on the workers */
	bool is_requested_again;
	struct generation *retired[RETIRED_MAX]; /* whose last workers have not ended yet */
};

struct upgrade {
	struct successor successor;
	bool is_requested; /* begins when what is under way has ended */
};

struct stopping {
	bool is_begun;
	size_t step; /* which children are about to end: see stop.c */
	int64_t deadline;
};

struct master {
	const struct master_setup *setup;
	struct children *children;
	struct generation *current;
	struct helpers helpers;
	struct reload reload;
	struct upgrade upgrade;
	struct stopping stop;
	bool is_announced; /* our workers have come up, and the service manager was notified */
	int64_t status_at;
	int64_t alive_at;
	pid_t predecessor; /* see successor_predecessor(); 0: there was none, or it has ended */
	bool keeps_paths;  /* our sockets' paths are still an old binary's, or a new one's already */
};

static inline const struct settings *master_settings(const struct master *master)
{
	return &master->current->settings;
}

#endif
