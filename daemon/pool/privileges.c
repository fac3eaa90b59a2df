#include "pool/privileges.h"

#include "base/log.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define DEFAULT_USER "onesession"

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

int privileges_drop(const struct settings *settings, char *problem, size_t size)
{
	const char *name = settings->server.user[0] != '\0' ? settings->server.user : DEFAULT_USER;
	const struct passwd *user;
	gid_t gid;

	if (geteuid() != 0)
		return 0;
	user = getpwnam(name);
	if (user == NULL && settings->server.user[0] == '\0') {
		log_warning("running_as_root", LOG_STR("hint", "set server.user"));
		return 0;
	}
	if (user == NULL) {
		(void)snprintf(problem, size, "server.user: there is no user \"%s\"", name);
		return -1;
	}
	gid = user->pw_gid;
	if (settings->server.group[0] != '\0') {
		const struct group *group = getgrnam(settings->server.group);

		if (group == NULL) {
			(void)snprintf(problem, size, "server.group: there is no group \"%s\"", settings->server.group);
			return -1;
		}
		gid = group->gr_gid;
	}
	if (become(user, gid) != 0) {
		(void)snprintf(problem, size, "cannot become user \"%s\": %s", name, strerror(errno));
		return -1;
	}
	return 0;
}
