/* Who can change a file: what runs or is shown by a daemon is changed by root and by one other user at most. */
#ifndef BASE_FILE_OWNER_H
#define BASE_FILE_OWNER_H

#include "base/problem.h"

#include <sys/stat.h>

/*
 * Each returns 0, or -1 with *problem, which names the file that another user than root and `owner` can change; or
 * what could not be looked at.
 */

/* The file at `path`, of which `status` is. */
int file_owner_check(const char *path, const struct stat *status, uid_t owner, struct problem *problem);

/* The folder of `path`: who can write it can put another file at the path. Not those above it. */
int file_owner_check_folder(const char *path, uid_t owner, struct problem *problem);

/* A folder, and all that is in it, at any depth. */
int file_owner_check_tree(const char *folder, uid_t owner, struct problem *problem);

#endif
