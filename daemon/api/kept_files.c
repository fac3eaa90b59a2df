/* Files that are kept in the application's folders: ones_keep_upload(), ones_remove_stored(). */
#include "api/kept_files.h"

#include "api/jobs.h"
#include "api/spool.h"
#include "base/file_name.h"
#include "base/log.h"
#include "base/write_all.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_FOLDER "a folder that was not declared, or could not be opened"
#define COPY_SIZE (256 * 1024)
/* The folder says who may read what is in it. */
#define KEPT_MODE 0644

/* A name that no file of the application's can have, until it is whole. */
#define TEMPORARY_SIZE 32

static enum ones_result failure_of(const char *what, const char *folder, const char *name)
{
	int error = errno;

	if (error == EEXIST)
		return ONES_RESULT_DUPLICATE;
	log_error("file_failed", LOG_STR("what", what), LOG_STR("folder", folder), LOG_STR("file", name),
	          LOG_STR("problem", strerror(error)));
	return spool_is_no_room(error) ? ONES_RESULT_NO_SPACE : ONES_RESULT_FAILED;
}

/* 0, or -1 with errno. */
static int copy(int from, int64_t size, int to, char *buffer)
{
	int64_t at = 0;

	while (at < size) {
		ssize_t got = pread(from, buffer, COPY_SIZE, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;
		if (got <= 0 || write_all(to, buffer, (size_t)got) != 0)
			return -1;
		at += got;
	}
	return fchmod(to, KEPT_MODE) == 0 && fsync(to) == 0 ? 0 : -1;
}

/* The spool is on another file system, or cannot give its files a name. 0, or -1 with errno. */
static int keep_copy(struct ones_request *req, const struct ones_upload *upload, int folder, const char *name)
{
	char *buffer = talloc_size(req, COPY_SIZE);
	char temporary[TEMPORARY_SIZE];
	int fd, result, error;

	if (buffer == NULL) {
		errno = ENOMEM;
		return -1;
	}
	(void)snprintf(temporary, sizeof temporary, ".new-%08x%08x", randombytes_random(), randombytes_random());
	fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		talloc_free(buffer);
		return -1;
	}
	result = copy(upload->fd, upload->size, fd, buffer);
	if (result == 0)
		result = linkat(folder, temporary, folder, name, 0);
	error = errno;
	close(fd);
	(void)unlinkat(folder, temporary, 0);
	talloc_free(buffer);
	errno = error;
	return result;
}

/* 0, or -1 with errno. */
static int keep(struct ones_request *req, const struct ones_upload *upload, int folder, const char *name)
{
	char path[32];
	int result;

	if (fchmod(upload->fd, KEPT_MODE) != 0 || fsync(upload->fd) != 0)
		return -1;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", upload->fd);
	result = linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW);
	if (result != 0 && (errno == EXDEV || errno == ENOENT || errno == EPERM))
		result = keep_copy(req, upload, folder, name);
	return result == 0 ? fsync(folder) : -1;
}

static const struct folder *find_folder(const struct ones_app *app, const char *name)
{
	const struct folder *folder = name != NULL ? folders_find(app, name) : NULL;

	return folder != NULL && folder->fd >= 0 ? folder : NULL;
}

const struct folder *kept_files_folder(struct ones_request *req, const char *name)
{
	const struct folder *folder = find_folder(req->app, name);

	if (folder == NULL)
		exchange_warn(req, NO_FOLDER);
	return folder;
}

/* From a job there is no request. */
static const struct folder *folder_of_job(const char *name)
{
	const struct ones_app *app = job_now()->app;
	const struct folder *folder = app != NULL ? find_folder(app, name) : NULL;

	if (folder == NULL)
		log_error("folder_refused", LOG_STR("folder", name),
		          LOG_STR("problem", app != NULL ? NO_FOLDER : "no request, outside of a job"));
	return folder;
}

enum ones_result ones_keep_upload(struct ones_request *req, const struct ones_upload *upload, const char *folder,
                                  const char *name)
{
	const struct folder *found = kept_files_folder(req, folder);

	if (found == NULL)
		return ONES_RESULT_FAILED;
	if (!file_name_is_right(name))
		return ONES_RESULT_UNUSABLE_NAME;
	return keep(req, upload, found->fd, name) == 0 ? ONES_RESULT_OK : failure_of("keep", folder, name);
}

enum ones_result ones_remove_stored(struct ones_request *req, const char *folder, const char *name)
{
	const struct folder *found = req != NULL ? kept_files_folder(req, folder) : folder_of_job(folder);

	if (found == NULL)
		return ONES_RESULT_FAILED;
	if (!file_name_is_right(name))
		return ONES_RESULT_UNUSABLE_NAME;
	if (unlinkat(found->fd, name, 0) != 0 && errno != ENOENT)
		return failure_of("remove", folder, name);
	return fsync(found->fd) == 0 ? ONES_RESULT_OK : failure_of("remove", folder, name);
}
