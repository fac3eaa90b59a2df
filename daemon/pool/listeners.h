/* The listening sockets: given by systemd or spawn-fcgi, or our own. */
#ifndef POOL_LISTENERS_H
#define POOL_LISTENERS_H

#include "base/problem.h"
#include "base/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LISTENERS_MAX 16

struct listener {
	int fd;
	char name[128];       /* as an operator knows it: "unix:/run/onesession/onesession.sock" */
	const char *own_path; /* of a unix socket that we made, to be removed at the end; else NULL */
};

struct listeners {
	size_t count;
	struct listener all[LISTENERS_MAX];
	char paths[LISTENERS_MAX][108];
};

/*
 * Take what was given: systemd's LISTEN_FDS, else a listening socket on descriptor 0, else open server.listen.
 * All are made non-blocking. A bit in `own_sockets` for one of LISTEN_FDS says that it is our own: an earlier binary
 * of ours has made it. Returns 0, or -1 with *problem.
 */
int listeners_open(struct listeners *listeners, const struct settings *settings, uint64_t own_sockets,
                   struct problem *problem);

/*
 * What listeners_open() would find wrong, without opening anything: with server.listen_owner and listen_group, and with
 * the folders of server.listen, which matter only where no sockets are given. Return 0, or -1 with *problem.
 */
int listeners_try_owner(const struct settings *settings, struct problem *problem);
int listeners_try_folders(const struct settings *settings, struct problem *problem);

/* True when a connection waits to be accepted. Never blocks. */
bool listeners_have_waiting(const struct listeners *listeners);

/* A line in the log for each. */
void listeners_log(const struct listeners *listeners);

/* Remove the paths of our own unix sockets, so that no peer finds them any more, and leave the sockets open. */
void listeners_unlink(const struct listeners *listeners);

#endif
