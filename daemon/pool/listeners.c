/* The listening sockets: given ones, or our own. */
#include "pool/listeners.h"

#include "base/log.h"
#include "base/units.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static bool is_listening(int fd)
{
	int value = 0;
	socklen_t size = sizeof value;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value != 0;
}

static int make_ready(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return -1;
	return 0;
}

static struct listener *add_listener(struct listeners *listeners, int fd)
{
	struct listener *listener;

	if (listeners->count == LISTENERS_MAX)
		return NULL;
	listener = &listeners->all[listeners->count++];
	*listener = (struct listener){.fd = fd};
	return listener;
}

/* The path that a unix socket was bound to; NULL for any other. */
static const char *find_path(int fd, struct sockaddr_un *address)
{
	socklen_t size = sizeof *address;

	*address = (struct sockaddr_un){0};
	if (getsockname(fd, (struct sockaddr *)address, &size) != 0 || address->sun_family != AF_UNIX ||
	    address->sun_path[0] != '/' || memchr(address->sun_path, '\0', sizeof address->sun_path) == NULL)
		return NULL;
	return address->sun_path;
}

static void set_own(struct listeners *listeners, const char *path)
{
	size_t last = listeners->count - 1;

	(void)snprintf(listeners->paths[last], sizeof listeners->paths[last], "%s", path);
	listeners->all[last].own_path = listeners->paths[last];
}

static int add_given(struct listeners *listeners, int fd, const char *giver, bool is_own, struct problem *problem)
{
	struct sockaddr_un address;
	const char *path = find_path(fd, &address);
	struct listener *listener;

	if (!is_listening(fd))
		return problem_set(problem, "descriptor %d from %s is not a listening stream socket", fd, giver);
	if (make_ready(fd) != 0)
		return problem_set(problem, "descriptor %d from %s: %s", fd, giver, strerror(errno));
	listener = add_listener(listeners, fd);
	if (listener == NULL)
		return problem_set(problem, "%s gives more than %d sockets", giver, LISTENERS_MAX);
	if (path != NULL)
		(void)snprintf(listener->name, sizeof listener->name, "unix:%s", path);
	else
		(void)snprintf(listener->name, sizeof listener->name, "descriptor %d from %s", fd, giver);
	if (is_own && path != NULL)
		set_own(listeners, path);
	return 0;
}

/* ---- Our own ------------------------------------------------------------------------------------------------ */

/* A socket on which no process listens any more was left behind by one that was killed. */
static int remove_stale(const struct sockaddr_un *address, struct problem *problem)
{
	struct stat status;
	int probe, result;

	if (lstat(address->sun_path, &status) != 0)
		return errno == ENOENT
		               ? 0
		               : problem_set(problem, "server.listen: %s: %s", address->sun_path, strerror(errno));
	if (!S_ISSOCK(status.st_mode))
		return problem_set(problem, "server.listen: %s: is there already and is not a socket",
		                   address->sun_path);
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return problem_set(problem, "server.listen: %s: %s", address->sun_path, strerror(errno));
	result = connect(probe, (const struct sockaddr *)address, sizeof *address);
	if (result == 0 || errno != ECONNREFUSED) {
		close(probe);
		return problem_set(problem, "server.listen: %s: another process is listening on it", address->sun_path);
	}
	close(probe);
	if (unlink(address->sun_path) != 0)
		return problem_set(problem, "server.listen: %s: cannot remove the old socket: %s", address->sun_path,
		                   strerror(errno));
	return 0;
}

static int find_user(const char *name, uid_t *uid)
{
	const struct passwd *entry;
	int64_t number;

	if (units_parse_number(name, &number) == 0 && number < UINT32_MAX) {
		*uid = (uid_t)number;
		return 0;
	}
	entry = getpwnam(name);
	if (entry == NULL)
		return -1;
	*uid = entry->pw_uid;
	return 0;
}

static int find_group(const char *name, gid_t *gid)
{
	const struct group *entry;
	int64_t number;

	if (units_parse_number(name, &number) == 0 && number < UINT32_MAX) {
		*gid = (gid_t)number;
		return 0;
	}
	entry = getgrnam(name);
	if (entry == NULL)
		return -1;
	*gid = entry->gr_gid;
	return 0;
}

static int find_owner(const struct settings *settings, uid_t *uid, gid_t *gid, struct problem *problem)
{
	*uid = (uid_t)-1;
	*gid = (gid_t)-1;
	if (settings->server.listen_owner[0] != '\0' && find_user(settings->server.listen_owner, uid) != 0)
		return problem_set(problem, "server.listen_owner: there is no user \"%s\"",
		                   settings->server.listen_owner);
	if (settings->server.listen_group[0] != '\0' && find_group(settings->server.listen_group, gid) != 0)
		return problem_set(problem, "server.listen_group: there is no group \"%s\"",
		                   settings->server.listen_group);
	return 0;
}

static int set_owner(const char *path, const struct settings *settings, struct problem *problem)
{
	uid_t uid;
	gid_t gid;

	if (find_owner(settings, &uid, &gid, problem) != 0)
		return -1;
	/* A service manager may have forbidden the call as such. */
	if ((uid != (uid_t)-1 || gid != (gid_t)-1) && chown(path, uid, gid) != 0)
		return problem_set(problem, "server.listen: %s: %s", path, strerror(errno));
	if (chmod(path, (mode_t)settings->server.listen_mode) != 0)
		return problem_set(problem, "server.listen: %s: %s", path, strerror(errno));
	return 0;
}

static int open_unix(struct listeners *listeners, const char *path, const struct settings *settings,
                     struct problem *problem)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct listener *listener;
	mode_t mask;
	int fd, bound;

	if (strlen(path) >= sizeof address.sun_path)
		return problem_set(problem, "server.listen: %s: a socket's path may have at most %zu bytes", path,
		                   sizeof address.sun_path - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (remove_stale(&address, problem) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return problem_set(problem, "server.listen: %s: %s", path, strerror(errno));
	/* No peer may connect between bind() and chmod() that may not do so after it. */
	mask = umask(0777);
	bound = bind(fd, (const struct sockaddr *)&address, sizeof address);
	(void)umask(mask);
	if (bound != 0) {
		(void)problem_set(problem, "server.listen: %s: %s", path, strerror(errno));
		goto fail;
	}
	if (set_owner(path, settings, problem) != 0) {
		(void)unlink(path);
		goto fail;
	}
	if (listen(fd, SOMAXCONN) != 0) {
		(void)problem_set(problem, "server.listen: %s: %s", path, strerror(errno));
		(void)unlink(path);
		goto fail;
	}
	listener = add_listener(listeners, fd);
	if (listener == NULL) {
		(void)unlink(path);
		(void)problem_set(problem, "server.listen: more than %d sockets", LISTENERS_MAX);
		goto fail;
	}
	(void)snprintf(listener->name, sizeof listener->name, "unix:%s", path);
	set_own(listeners, path);
	return 0;
fail:
	close(fd);
	return -1;
}

/* "127.0.0.1:9000" or "[::1]:9000": addresses only, so that no name server decides where we listen. */
static int open_tcp(struct listeners *listeners, const char *where, struct problem *problem)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	const int on = 1;
	struct listener *listener;
	struct addrinfo *found;
	char host[80];
	const char *port = strrchr(where, ':');
	size_t length = port != NULL ? (size_t)(port - where) : 0;
	int fd, error;

	if (length == 0 || length >= sizeof host)
		return problem_set(problem, "server.listen: tcp:%s: is not tcp:ADDRESS:PORT", where);
	memcpy(host, where, length);
	host[length] = '\0';
	if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		memmove(host, host + 1, length - 1);
	}
	error = getaddrinfo(host, port + 1, &hints, &found);
	if (error != 0)
		return problem_set(problem, "server.listen: tcp:%s: %s", where, gai_strerror(error));
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    (found->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
	    bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
		(void)problem_set(problem, "server.listen: tcp:%s: %s", where, strerror(errno));
		goto fail;
	}
	listener = add_listener(listeners, fd);
	if (listener == NULL) {
		(void)problem_set(problem, "server.listen: more than %d sockets", LISTENERS_MAX);
		goto fail;
	}
	(void)snprintf(listener->name, sizeof listener->name, "tcp:%s", where);
	freeaddrinfo(found);
	return 0;
fail:
	freeaddrinfo(found);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- The words of server.listen ----------------------------------------------------------------------------- */

struct listen_words {
	const struct settings *settings;
	struct listeners *listeners; /* that the sockets are added to */
	struct problem *problem;
};

/* Until a visit does not return 0. Returns what that returned. */
static int visit_words(const struct listen_words *words, int (*visit)(const struct listen_words *, const char *word))
{
	char *text = strdup(words->settings->server.listen);
	char *rest = text;
	const char *word;
	int result = 0;

	if (text == NULL)
		return problem_set(words->problem, "out of memory");
	while (result == 0 && (word = strsep(&rest, " \t")) != NULL)
		result = visit(words, word);
	free(text);
	return result;
}

/* What follows the prefix, NULL when the word does not begin with it. */
static const char *behind(const char *word, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(word, prefix, length) == 0 ? word + length : NULL;
}

static int open_word(const struct listen_words *words, const char *word)
{
	const char *path = behind(word, "unix:");
	const char *where = behind(word, "tcp:");

	if (path != NULL)
		return open_unix(words->listeners, path, words->settings, words->problem);
	return where != NULL ? open_tcp(words->listeners, where, words->problem) : 0;
}

static int open_own(struct listeners *listeners, const struct settings *settings, struct problem *problem)
{
	const struct listen_words words = {.settings = settings, .listeners = listeners, .problem = problem};
	int result = visit_words(&words, open_word);

	if (result != 0)
		listeners_unlink(listeners);
	else if (listeners->count == 0)
		result = problem_set(problem, "server.listen: names no socket");
	return result;
}

/* The folder of a unix socket that is to be made. */
static int try_folder(const struct listen_words *words, const char *word)
{
	const char *path = behind(word, "unix:");
	struct stat status;
	const char *folder;
	char *copy;
	int result = 0;

	if (path == NULL)
		return 0;
	copy = strdup(path);
	if (copy == NULL)
		return problem_set(words->problem, "out of memory");
	folder = dirname(copy);
	if (stat(folder, &status) != 0)
		result = problem_set(words->problem, "server.listen: %s: %s", folder, strerror(errno));
	else if (!S_ISDIR(status.st_mode))
		result = problem_set(words->problem, "server.listen: %s: %s", folder, strerror(ENOTDIR));
	free(copy);
	return result;
}

int listeners_try_folders(const struct settings *settings, struct problem *problem)
{
	const struct listen_words words = {.settings = settings, .problem = problem};

	return visit_words(&words, try_folder);
}

int listeners_try_owner(const struct settings *settings, struct problem *problem)
{
	uid_t uid;
	gid_t gid;

	return find_owner(settings, &uid, &gid, problem);
}

/* ---- All of them -------------------------------------------------------------------------------------------- */

int listeners_open(struct listeners *listeners, const struct settings *settings, uint64_t own_sockets,
                   struct problem *problem)
{
	int given = sd_listen_fds(1);

	*listeners = (struct listeners){0};
	if (given < 0)
		return problem_set(problem, "LISTEN_FDS: %s", strerror(-given));
	for (int i = 0; i < given; i++) {
		if (add_given(listeners, SD_LISTEN_FDS_START + i, "LISTEN_FDS", i < 64 && (own_sockets >> i & 1) != 0,
		              problem) != 0)
			return -1;
	}
	if (given > 0)
		return 0;
	if (is_listening(STDIN_FILENO))
		return add_given(listeners, STDIN_FILENO, "standard input", false, problem);
	return open_own(listeners, settings, problem);
}

bool listeners_have_waiting(const struct listeners *listeners)
{
	struct pollfd all[LISTENERS_MAX];

	for (size_t i = 0; i < listeners->count; i++)
		all[i] = (struct pollfd){.fd = listeners->all[i].fd, .events = POLLIN};
	return poll(all, listeners->count, 0) > 0;
}

void listeners_log(const struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++)
		log_info("listening", LOG_STR("on", listeners->all[i].name));
}

void listeners_unlink(const struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++) {
		if (listeners->all[i].own_path != NULL)
			(void)unlink(listeners->all[i].own_path);
	}
}
