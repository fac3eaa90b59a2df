/*
 * A new binary on the same sockets. The old master starts it with descriptors as systemd would give them
 * (sd_listen_fds(3)) and one more, over which the new master says that its workers are up, and the old one that it has
 * told the service manager.
 */
#ifndef POOL_UPGRADE_H
#define POOL_UPGRADE_H

#include "pool/listeners.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How the environment names that descriptor, and which of the sockets are our own: "FD:MASK", in decimal. */
#define UPGRADE_VARIABLE "ONESESSION_UPGRADE"

/* ---- In the old master -------------------------------------------------------------------------------------- */

struct upgrade {
	pid_t pid; /* of the new master; 0: there is none under way */
	int fd;
	int64_t give_up_at;
};

/* Start `program` with `argv`. Returns 0, or -1 with errno. */
int upgrade_start(struct upgrade *upgrade, const struct listeners *listeners, const char *program, char *const argv[]);

/* True once the new master's workers are up. */
bool upgrade_is_up(const struct upgrade *upgrade);

/* Of a new master that has ended: the errno with which its program could not be executed; 0 when it was. */
int upgrade_error(const struct upgrade *upgrade);

/* Kill the new master. Its end is awaited with all other children's. */
void upgrade_cancel(const struct upgrade *upgrade);

/* Forget it: it has ended, or it is up and may speak to the service manager from now on. */
void upgrade_forget(struct upgrade *upgrade);

/* ---- In the new master -------------------------------------------------------------------------------------- */

/* The descriptor to the old master, and which sockets are our own, a bit each. -1 when nobody started us so. */
int upgrade_inherited(uint64_t *own_sockets);

/* Our workers are up. Waits, but not for long, until the old master has told the service manager. Closes `fd`. */
void upgrade_tell_up(int fd);

#endif
