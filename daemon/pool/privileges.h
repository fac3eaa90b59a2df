/* Giving up root at start. */
#ifndef POOL_PRIVILEGES_H
#define POOL_PRIVILEGES_H

#include "base/problem.h"
#include "base/settings.h"

/*
 * When started as root, become server.user (its group, or server.group) for good; without one, the user "onesession"
 * if there is one, else root is kept. A file that log.to names is given to that user, as which it is opened. HOME, USER
 * and LOGNAME become the user's, also when the process that started us has given up root. Returns 0, or -1 with
 * *problem: the process must then not go on.
 */
int privileges_drop(const struct settings *settings, struct problem *problem);

/*
 * The same for a process that only tries what such a one could do: nothing is given to the user, and nothing made. A
 * file that log.to names, or one that is yet to be made there, has to be one that the daemon could open.
 */
int privileges_try(const struct settings *settings, struct problem *problem);

#endif
