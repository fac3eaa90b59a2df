/* The file of a module: found, checked, and copied into memory that nothing can change any more. */
#ifndef MODULES_FILE_H
#define MODULES_FILE_H

#include "base/problem.h"

#include <sys/types.h>
#include <talloc.h>

struct module_file {
	const char *called; /* as server.modules has it: a name, or an absolute path */
	const char *path;   /* the file itself, without symbolic links */
	int fd;             /* its content, sealed */
};

/*
 * Find the file, and check that it is one that only root or `starter` can write: it, its folder, and the folder of the
 * link that leads to it. On `ctx`; NULL with *problem.
 */
struct module_file *module_file_open(TALLOC_CTX *ctx, const char *called, uid_t starter, struct problem *problem);

#endif
