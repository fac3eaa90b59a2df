/* Giving up root at start. */
#include "pool/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define DEFAULT_USER "onesession"

/* ---- Where home is ------------------------------------------------------------------------------------------ */

static bool names_another(const char *variable)
{
	const char *name = getenv(variable);
	const struct passwd *named = name != NULL ? getpwnam(name) : NULL;

	return named != NULL && named->pw_uid != geteuid();
}

/* A process that changed its user and then became us, as spawn-fcgi does, may have left the environment as it was. */
static bool is_of_another(void)
{
	const char *home = getenv("HOME");

	return names_another("LOGNAME") || names_another("USER") ||
	       (home != NULL && access(home, X_OK) != 0 && errno == EACCES);
}

/*
 * libpq looks below HOME for certificates and passwords, and gives up TLS without a word when it may not: the former
 * user's is none of ours.
 */
static int move_home(void)
{
	const struct passwd *user = getpwuid(geteuid());

	if (user == NULL)
		return unsetenv("HOME") != 0 || unsetenv("USER") != 0 || unsetenv("LOGNAME") != 0 ? -1 : 0;
	return setenv("HOME", user->pw_dir, 1) != 0 || setenv("USER", user->pw_name, 1) != 0 ||
	                       setenv("LOGNAME", user->pw_name, 1) != 0
	               ? -1
	               : 0;
}

/* ---- Giving up ---------------------------------------------------------------------------------------------- */

/*
 * The log's file becomes the user's, as which the daemon opens and reopens it. The folder may be the user's, too, who
 * may have put there what is to become theirs: a link, or another name of another user's file. Such a one is left as it
 * is, and the user may be able to open it or not.
 */
static int give_log(const char *path, uid_t uid, gid_t gid)
{
	const struct open_how how = {
		.flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		.mode = 0640,
		.resolve = RESOLVE_NO_SYMLINKS,
	};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
	struct stat status;
	int result = 0;

	if (fd < 0)
		return 0;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 && status.st_uid == 0)
		result = fchown(fd, uid, status.st_gid == 0 ? gid : (gid_t)-1);
	close(fd);
	return result;
}

static int become(const struct passwd *user, gid_t gid)
{
	uid_t real, effective, saved;

	if (initgroups(user->pw_name, gid) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0)
		return -1;
	errno = EPERM;
	if (getresuid(&real, &effective, &saved) != 0 || real != user->pw_uid || effective != user->pw_uid ||
	    saved != user->pw_uid)
		return -1;
	/* Root that can be had again was not given up. */
	return user->pw_uid != 0 && setuid(0) == 0 ? -1 : 0;
}

/* For one that was not started as root. */
static int keep_user(struct problem *problem)
{
	if (!is_of_another() || move_home() == 0)
		return 0;
	return problem_set(problem, "the environment: %s", strerror(errno));
}

static int find_group(const struct settings *settings, const struct passwd *user, gid_t *gid, struct problem *problem)
{
	const struct group *group;

	*gid = user->pw_gid;
	if (settings->server.group[0] == '\0')
		return 0;
	group = getgrnam(settings->server.group);
	if (group == NULL)
		return problem_set(problem, "server.group: there is no group \"%s\"", settings->server.group);
	*gid = group->gr_gid;
	return 0;
}

/* The user that root becomes, and its group. *user is NULL where root is kept. */
static int find_target(const struct settings *settings, const struct passwd **user, gid_t *gid, struct problem *problem)
{
	const char *name = settings->server.user[0] != '\0' ? settings->server.user : DEFAULT_USER;

	*user = getpwnam(name);
	if (*user == NULL && settings->server.user[0] == '\0')
		return 0;
	if (*user == NULL)
		return problem_set(problem, "server.user: there is no user \"%s\"", name);
	return find_group(settings, *user, gid, problem);
}

static int become_user(const struct passwd *user, gid_t gid, struct problem *problem)
{
	if (become(user, gid) == 0 && move_home() == 0)
		return 0;
	return problem_set(problem, "cannot become user \"%s\": %s", user->pw_name, strerror(errno));
}

int privileges_drop(const struct settings *settings, struct problem *problem)
{
	const struct passwd *user;
	gid_t gid;

	if (geteuid() != 0)
		return keep_user(problem);
	if (find_target(settings, &user, &gid, problem) != 0)
		return -1;
	if (user == NULL)
		return 0;
	if (settings->log.to[0] == '/' && give_log(settings->log.to, user->pw_uid, gid) != 0)
		return problem_set(problem, "log.to: cannot give %s to user \"%s\": %s", settings->log.to,
		                   user->pw_name, strerror(errno));
	return become_user(user, gid, problem);
}

/* Root makes the file where it is missing, and gives one of its own away; then the user opens it. */
static int try_log(const char *path, bool was_root, struct problem *problem)
{
	char copy[PATH_MAX];
	const char *folder;
	struct stat status;

	(void)snprintf(copy, sizeof copy, "%s", path);
	folder = dirname(copy);
	if (stat(path, &status) == 0) {
		if ((was_root && status.st_uid == 0 && S_ISREG(status.st_mode)) || access(path, W_OK) == 0)
			return 0;
	} else if (errno == ENOENT && access(folder, was_root ? X_OK : W_OK | X_OK) == 0) {
		return 0;
	}
	return problem_set(problem, "log.to: %s: %s", path, strerror(errno));
}

int privileges_try(const struct settings *settings, struct problem *problem)
{
	bool was_root = geteuid() == 0;
	const struct passwd *user = NULL;
	gid_t gid;

	if (!was_root && keep_user(problem) != 0)
		return -1;
	if (was_root && find_target(settings, &user, &gid, problem) != 0)
		return -1;
	if (user != NULL && become_user(user, gid, problem) != 0)
		return -1;
	return settings->log.to[0] == '/' ? try_log(settings->log.to, was_root, problem) : 0;
}
