/* The file of a module: found, checked, and copied into memory that nothing can change any more. */
#include "modules/file.h"

/* The Makefile makes it: MODULES_FOLDER, where the modules are that server.modules calls by their names. */
#include "moduledir.h"

#include "base/file_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far more than code needs. */
#define FILE_MAX ((off_t)256 << 20)

/* Since Linux 6.3; the C library may be older. */
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* Returns -1: what is wrong is told with the module's name. */
static int refuse(const char *called, const struct problem *reason, struct problem *problem)
{
	return problem_set(problem, "module %s: %s", called, reason->text);
}

/* ---- A copy of it -------------------------------------------------------------------------------------------- */

static int new_memory(void)
{
	int fd = memfd_create("onesession-module", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	return fd < 0 && errno == EINVAL ? memfd_create("onesession-module", MFD_CLOEXEC | MFD_ALLOW_SEALING) : fd;
}

static int copy_all(int to, int from, off_t size)
{
	off_t at = 0;

	while (at < size) {
		ssize_t copied = sendfile(to, from, &at, (size_t)(size - at));

		if (copied == 0)
			errno = EIO;
		if (copied <= 0)
			return -1;
	}
	return 0;
}

/* The content as it is now, whatever becomes of the file: a worker that is replaced gets what the others have. */
static int seal(struct module_file *file, int from, off_t size)
{
	file->fd = new_memory();
	if (file->fd < 0 || copy_all(file->fd, from, size) != 0)
		return -1;
	return fcntl(file->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
}

static int destroy(struct module_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	return 0;
}

/* ---- Both ---------------------------------------------------------------------------------------------------- */

static int take(struct module_file *file, int from, uid_t starter, struct problem *problem)
{
	struct problem reason;
	struct stat status;

	if (fstat(from, &status) != 0)
		return problem_set(problem, "module %s: %s: %s", file->called, file->path, strerror(errno));
	if (!S_ISREG(status.st_mode) || status.st_size > FILE_MAX)
		return problem_set(problem, "module %s: %s is not a file of at most 256 MiB", file->called, file->path);
	if (file_owner_check(file->path, &status, starter, &reason) != 0 ||
	    file_owner_check_folder(file->path, starter, &reason) != 0)
		return refuse(file->called, &reason, problem);
	if (seal(file, from, status.st_size) != 0)
		return problem_set(problem, "module %s: %s cannot be copied: %s", file->called, file->path,
		                   strerror(errno));
	return 0;
}

/* A symbolic link is as good as its folder; what it leads to is opened by its own path. */
static int open_found(struct module_file *file, const char *named, uid_t starter, struct problem *problem)
{
	char path[PATH_MAX];
	struct problem reason;
	int from, result;

	if (realpath(named, path) == NULL)
		return problem_set(problem, "module %s: %s: %s", file->called, named, strerror(errno));
	file->path = talloc_strdup(file, path);
	if (file->path == NULL)
		return problem_set(problem, "out of memory");
	if (file_owner_check_folder(named, starter, &reason) != 0)
		return refuse(file->called, &reason, problem);
	/* Also of a FIFO the open does not block. */
	from = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (from < 0)
		return problem_set(problem, "module %s: %s: %s", file->called, path, strerror(errno));
	result = take(file, from, starter, problem);
	close(from);
	return result;
}

struct module_file *module_file_open(TALLOC_CTX *ctx, const char *called, uid_t starter, struct problem *problem)
{
	struct module_file *file = talloc_zero(ctx, struct module_file);
	char *named =
		called[0] == '/' ? talloc_strdup(file, called) : talloc_asprintf(file, MODULES_FOLDER "/%s.so", called);

	if (file != NULL) {
		file->fd = -1;
		file->called = talloc_strdup(file, called);
		talloc_set_destructor(file, destroy);
	}
	if (file == NULL || named == NULL || file->called == NULL)
		(void)problem_set(problem, "out of memory");
	else if (open_found(file, named, starter, problem) == 0)
		return file;
	talloc_free(file);
	return NULL;
}
