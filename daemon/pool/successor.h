/*
 * Handing the sockets to a new binary's master, the successor. The old master starts it with descriptors as systemd
 * would give them (sd_listen_fds(3)) and one more, over which the new master reports that its workers are up, and the
 * old one that it has notified the service manager.
 */
#ifndef POOL_SUCCESSOR_H
#define POOL_SUCCESSOR_H

#include "pool/listeners.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How the environment names that descriptor, and which of the sockets are our own: "FD:MASK", in decimal. */
#define SUCCESSOR_VARIABLE "ONESESSION_UPGRADE"

/* ---- In the old master -------------------------------------------------------------------------------------- */

struct successor {
	pid_t pid; /* of the new master; 0: there is none */
	int fd;
	int64_t give_up_at;
};

/* Start `program` with `argv`. Returns 0, or -1 with errno. */
int successor_start(struct successor *successor, const struct listeners *listeners, const char *program,
                    char *const argv[]);

/* True once the new master's workers are up. */
bool successor_is_up(const struct successor *successor);

/* Of a new master that has ended: the errno with which its program could not be executed; 0 when it was. */
int successor_error(const struct successor *successor);

/* Kill the new master. It is reaped with all other children. */
void successor_kill(const struct successor *successor);

/* Forget it: it has ended, or it is up and may notify the service manager from now on. */
void successor_forget(struct successor *successor);

/* ---- In the new master -------------------------------------------------------------------------------------- */

/* The descriptor to the old master, and which sockets are our own, a bit each. -1: no master of ours has started us. */
int successor_inherited(uint64_t *own_sockets);

/* The old master's pid: it is there as long as it is our parent. 0: no master of ours has started us. */
pid_t successor_predecessor(int fd);

/* Our workers are up. Waits, but not for long, until the old master has notified the service manager. Closes `fd`. */
void successor_report_up(int fd);

#endif
