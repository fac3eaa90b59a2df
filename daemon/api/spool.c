/* Files that are there while a request is. */
#include "api/spool.h"

#include "base/write_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* As many files are open in a process, and no larger part of the descriptors that it may have. */
#define FILES_MAX   1024
#define FILES_SHARE 4
/* So much at a time is handed to the disk. */
#define FLUSH_SIZE ((int64_t)4 * 1024 * 1024)
/* So much at a time is counted, for small files and for larger ones: counting goes through all processes. */
#define RESERVE_SMALL ((int64_t)64 * 1024)
#define RESERVE_LARGE ((int64_t)1024 * 1024)

bool spool_is_no_room(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

static int spool_close(struct spool_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->app->process != NULL)
		atomic_fetch_sub(&file->app->process->spool_files, 1);
	if (file->reserved > 0)
		atomic_fetch_sub(&file->app->process->spooled, file->reserved);
	return 0;
}

/* For file systems that know no file without a name. */
static int open_and_unlink(const char *folder)
{
	char path[4096];
	int fd;

	if ((size_t)snprintf(path, sizeof path, "%s/upload-XXXXXX", folder) >= sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0 && unlinkat(AT_FDCWD, path, 0) != 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* The rest is for connections and the database, for which everybody waits. Counts the file. */
static bool may_open(const struct ones_app *app)
{
	struct rlimit limit;
	int64_t max = FILES_MAX;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / FILES_SHARE < FILES_MAX)
		max = (int64_t)(limit.rlim_cur / FILES_SHARE);
	return app->process == NULL || atomic_fetch_add(&app->process->spool_files, 1) < max;
}

struct spool_file *spool_open(TALLOC_CTX *ctx, const struct ones_app *app)
{
	struct spool_file *file = talloc_zero(ctx, struct spool_file);
	const char *folder = app->settings->server.spool;

	if (file == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	file->app = app;
	file->fd = -1;
	talloc_set_destructor(file, spool_close);
	if (!may_open(app)) {
		talloc_free(file);
		errno = EMFILE;
		return NULL;
	}
	file->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (file->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		file->fd = open_and_unlink(folder);
	if (file->fd < 0) {
		int error = errno;

		talloc_free(file);
		errno = error;
		return NULL;
	}
	return file;
}

bool spool_has_room(const struct ones_app *app, int64_t size)
{
	return size <= app->settings->server.spool_max - process_table_spooled(&app->board->processes);
}

/* Returns whether there was room for it. */
static bool reserve(struct spool_file *file, int64_t size)
{
	const struct ones_app *app = file->app;

	if (!process_table_spool(&app->board->processes, app->process, size, app->settings->server.spool_max))
		return false;
	file->reserved += size;
	return true;
}

bool spool_reserve(struct spool_file *file, size_t size)
{
	int64_t wanted = file->size + (int64_t)size - file->reserved;
	int64_t step = file->size < RESERVE_LARGE ? RESERVE_SMALL : RESERVE_LARGE;

	if (wanted <= 0 || file->app->process == NULL)
		return true;
	return (wanted < step && reserve(file, step)) || reserve(file, wanted);
}

/*
 * The kernel begins to write what has come since the last time, and has to be done with what it was given then. Where
 * this cannot be done, fsync() has more to do.
 */
static void flush(struct spool_file *file)
{
	(void)sync_file_range(file->fd, file->flushed, file->size - file->flushed, SYNC_FILE_RANGE_WRITE);
	if (file->flushed > file->written)
		(void)sync_file_range(file->fd, file->written, file->flushed - file->written,
		                      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	file->written = file->flushed;
	file->flushed = file->size;
}

int spool_write(struct spool_file *file, const void *data, size_t size)
{
	if (write_all(file->fd, data, size) != 0)
		return -1;
	file->size += (int64_t)size;
	if (file->size - file->flushed >= FLUSH_SIZE)
		flush(file);
	return 0;
}
