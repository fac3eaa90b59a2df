/* The user who runs this program, for the events of what is done by it. */
#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

/* The user who signed in to the system: sudo and su leave that as it is. */
static bool read_login_uid(uid_t *uid)
{
	char text[32];
	int fd = open("/proc/self/loginuid", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
	unsigned long number;
	char *end;

	if (fd >= 0)
		(void)close(fd);
	if (size <= 0)
		return false;
	text[size] = '\0';
	errno = 0;
	number = strtoul(text, &end, 10);
	*uid = (uid_t)number;
	/* Not set: in containers, and for what no person has started. */
	return end > text && errno == 0 && number < UINT32_MAX;
}

static char *user_name(TALLOC_CTX *ctx, uid_t uid)
{
	const struct passwd *found = getpwuid(uid);

	return found != NULL ? talloc_strdup(ctx, found->pw_name) : talloc_asprintf(ctx, "%lu", (unsigned long)uid);
}

/* {"operator"} and, when the program runs as another user, {"as"}. */
json_t *ctl_operator_json(TALLOC_CTX *ctx)
{
	uid_t uid = getuid(), login_uid = uid;
	bool is_known = read_login_uid(&login_uid);

	if (!is_known || login_uid == uid)
		return json_pack("{s:s*}", "operator", user_name(ctx, uid));
	return json_pack("{s:s*, s:s*}", "operator", user_name(ctx, login_uid), "as", user_name(ctx, uid));
}

const char *ctl_operator_detail(TALLOC_CTX *ctx, json_t *more)
{
	json_t *detail = ctl_operator_json(ctx);
	char *text = NULL;
	const char *copy;

	if (detail != NULL && (more == NULL || json_object_update(detail, more) == 0))
		text = json_dumps(detail, 0);
	copy = text != NULL ? talloc_strdup(ctx, text) : NULL;
	free(text);
	json_decref(more);
	json_decref(detail);
	return copy;
}
