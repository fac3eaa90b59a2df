/* Answers that are files of the application's folders: ones_reply_stored(). */
#include "api/kept_files.h"
#include "api/streams.h"
#include "base/file_name.h"
#include "http/urlencoded.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the web server says of who sends files; absent: the daemon does. */
#define SENDFILE_PARAM "ONESESSION_SENDFILE"

struct stored {
	int fd;
	int64_t left;
};

static ssize_t more(void *context, char *buffer, size_t size)
{
	struct stored *stored = context;
	ssize_t got;

	if (stored->left < (int64_t)size)
		size = (size_t)stored->left;
	do {
		got = read(stored->fd, buffer, size);
	} while (got < 0 && errno == EINTR);
	/* The length was told: one that has become shorter is cut off. */
	if (got < 0 || (got == 0 && stored->left > 0))
		return -1;
	stored->left -= got;
	return got;
}

static void done(void *context)
{
	struct stored *stored = context;

	close(stored->fd);
}

/* Send it ourselves; takes over the descriptor. */
static void send_file(struct ones_request *req, int fd, int64_t size, const char *content_type)
{
	struct stored *stored = talloc(req, struct stored);

	if (stored == NULL) {
		close(fd);
		exchange_fail(req, "out of memory for the answer");
		return;
	}
	*stored = (struct stored){.fd = fd, .left = size};
	stream_reply(req, 200, content_type, size, more, done, stored);
}

/* Where the web server finds the file, by its own words `how`; *field is the one that tells it. NULL: none of them. */
static const char *path_for(struct ones_request *req, const char *how, const struct folder *folder, const char *name,
                            const char **field)
{
	static const char accel[] = "x-accel-redirect ";
	const char *path = NULL;
	bool is_plain = strcasecmp(how, "x-sendfile") == 0;

	*field = "X-Sendfile";
	if (strncasecmp(how, accel, sizeof accel - 1) == 0) {
		*field = "X-Accel-Redirect";
		path = talloc_asprintf(req, "%s%s/%s", how + sizeof accel - 1, folder->name, name);
	} else if (is_plain || strcasecmp(how, "x-sendfile-escaped") == 0) {
		path = talloc_asprintf(req, "%s/%s", folder->path, name);
	}
	/* Apache's module takes the path as it is; the others take escapes off. */
	return path == NULL || is_plain ? path : urlencoded_escape(req, path);
}

/* False: it has named no way. */
static bool let_web_server_send(struct ones_request *req, const struct folder *folder, const char *name)
{
	const char *how = fcgi_param(req->http->fcgi, SENDFILE_PARAM);
	const char *field, *path;

	if (how == NULL || how[0] == '\0')
		return false;
	path = path_for(req, how, folder, name, &field);
	if (path != NULL)
		ones_header(req, field, path);
	else
		exchange_warn(req, SENDFILE_PARAM " is neither x-accel-redirect PREFIX nor x-sendfile nor "
		                                  "x-sendfile-escaped: the daemon sends the file");
	return path != NULL;
}

void ones_reply_stored(struct ones_request *req, const char *folder, const char *name, const char *content_type)
{
	const struct folder *found = kept_files_folder(req, folder);
	struct stat status;
	int fd = -1;

	if (found == NULL) {
		exchange_fail(req, "an answer from that folder");
		return;
	}
	if (file_name_is_right(name))
		fd = openat(found->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		if (fd >= 0)
			close(fd);
		ones_reply_problem(req, 404, "not_found", "There is nothing at this address.");
	} else if (let_web_server_send(req, found, name)) {
		close(fd);
		ones_reply_body(req, 200, content_type, "", 0);
	} else {
		send_file(req, fd, status.st_size, content_type);
	}
}
