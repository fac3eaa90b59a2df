/* Who can change a file. */
#include "base/file_owner.h"

#include <errno.h>
#include <fts.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>

/* Far more files than a module has. */
#define TREE_MAX 10000

int file_owner_check(const char *path, const struct stat *status, uid_t owner, struct problem *problem)
{
	if (status->st_uid != 0 && status->st_uid != owner)
		return problem_set(problem, "%s belongs to user %lu, who is neither root nor the one who starts this",
		                   path, (unsigned long)status->st_uid);
	if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return problem_set(problem, "%s can be written by others than its owner: chmod go-w", path);
	return 0;
}

int file_owner_check_folder(const char *path, uid_t owner, struct problem *problem)
{
	char folder[PATH_MAX];
	struct stat status;

	if (memccpy(folder, path, '\0', sizeof folder) == NULL)
		return problem_set(problem, "%s: %s", path, strerror(ENAMETOOLONG));
	(void)dirname(folder);
	if (stat(folder, &status) != 0)
		return problem_set(problem, "%s: %s", folder, strerror(errno));
	return file_owner_check(folder, &status, owner, problem);
}

static int check_entry(const FTSENT *entry, uid_t owner, struct problem *problem)
{
	struct stat target;

	switch (entry->fts_info) {
	case FTS_DP: return 0;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS: return problem_set(problem, "%s: %s", entry->fts_path, strerror(entry->fts_errno));
	case FTS_SL:
		if (stat(entry->fts_accpath, &target) != 0)
			return problem_set(problem, "%s: %s", entry->fts_path, strerror(errno));
		return file_owner_check(entry->fts_path, &target, owner, problem);
	default: return file_owner_check(entry->fts_path, entry->fts_statp, owner, problem);
	}
}

int file_owner_check_tree(const char *folder, uid_t owner, struct problem *problem)
{
	char path[PATH_MAX];
	char *const roots[] = {path, NULL};
	FTS *walk;
	FTSENT *entry;
	int count = 0, result = 0;

	if (memccpy(path, folder, '\0', sizeof path) == NULL)
		return problem_set(problem, "%s: %s", folder, strerror(ENAMETOOLONG));
	walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (walk == NULL)
		return problem_set(problem, "%s: %s", folder, strerror(errno));
	while (result == 0 && (errno = 0, entry = fts_read(walk)) != NULL)
		result = ++count > TREE_MAX ? problem_set(problem, "%s: more than %d files", folder, TREE_MAX)
		                            : check_entry(entry, owner, problem);
	if (result == 0 && errno != 0)
		result = problem_set(problem, "%s: %s", folder, strerror(errno));
	(void)fts_close(walk);
	return result;
}
