/* Folders for files that are kept: ones_folder(), and what is done in them. */
#ifndef API_FOLDERS_H
#define API_FOLDERS_H

#include "base/problem.h"
#include "onesession.h"

#define FOLDERS_MAX 16

struct module;

struct folder {
	const struct module *module; /* that has declared it */
	const char *name;
	const char *path; /* absolute */
	int fd;           /* of this process; -1: not open */
};

struct folders {
	size_t count;
	struct folder all[FOLDERS_MAX];
};

/* Can this process write into them, and into server.spool where a route takes files? Returns 0, or -1 with *problem. */
int folders_try(const struct ones_app *app, struct problem *problem);

/* Open them, before the process is restricted. One that cannot be opened is logged. */
void folders_open(struct ones_app *app);

/* NULL: none of that name was declared. */
const struct folder *folders_find(const struct ones_app *app, const char *name);

/* Does the application have folders, or routes that take files? */
bool folders_are_used(const struct ones_app *app);

#endif
