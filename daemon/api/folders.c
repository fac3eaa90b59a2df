/* Folders for files that are kept. */
#include "api/folders.h"

#include "api/module.h"
#include "api/routes.h"
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void refuse(struct ones_app *app, const char *name, const char *problem)
{
	module_refuse(app, talloc_asprintf(app, "folder %s: %s", name, problem));
}

static void refuse_setting(struct ones_app *app, const char *name, const char *key, const char *what)
{
	const char *problem = talloc_asprintf(app, "its setting, [%s] %s, is %s", app->current->name, key, what);

	refuse(app, name, problem != NULL ? problem : "out of memory");
}

/* It becomes part of an address in the web server. */
static bool is_name(const char *name)
{
	const char *at = name;

	while (isalnum((unsigned char)*at) || *at == '-' || *at == '_')
		at++;
	return at > name && *at == '\0';
}

void ones_folder(struct ones_app *app, const char *name, const char *key)
{
	const char *path = ones_setting(app, key);

	if (!is_name(name))
		refuse(app, name, "a name is of letters, digits, - and _");
	else if (folders_find(app, name) != NULL)
		refuse(app, name, "there is one of that name already");
	else if (app->folders.count == FOLDERS_MAX)
		refuse(app, name, "there are 16 folders already");
	else if (path == NULL)
		refuse_setting(app, name, key, "absent");
	else if (path[0] != '/')
		refuse_setting(app, name, key, "no path that begins with a slash");
	else
		app->folders.all[app->folders.count++] =
			(struct folder){.module = app->current, .name = name, .path = path, .fd = -1};
}

const struct folder *folders_find(const struct ones_app *app, const char *name)
{
	for (size_t i = 0; i < app->folders.count; i++) {
		if (strcmp(app->folders.all[i].name, name) == 0)
			return &app->folders.all[i];
	}
	return NULL;
}

bool folders_are_used(const struct ones_app *app)
{
	bool are_used = app->folders.count > 0;

	for (size_t i = 0; i < app->route_count && !are_used; i++)
		are_used = route_takes_files(&app->routes[i].declared);
	return are_used;
}

/* Returns 0, or -1 with errno. */
static int try_folder(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool is_right = fd >= 0 && faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) == 0;
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return is_right ? 0 : -1;
}

int folders_try(const struct ones_app *app, struct problem *problem)
{
	const char *spool = app->settings->server.spool;

	if (folders_are_used(app) && try_folder(spool) != 0)
		return problem_set(problem, "server.spool: %s: %s", spool, strerror(errno));
	for (size_t i = 0; i < app->folders.count; i++) {
		const struct folder *folder = &app->folders.all[i];

		if (try_folder(folder->path) != 0)
			return problem_set(problem, "module %s: folder %s: %s: %s", folder->module->name, folder->name,
			                   folder->path, strerror(errno));
	}
	return 0;
}

void folders_open(struct ones_app *app)
{
	for (size_t i = 0; i < app->folders.count; i++) {
		struct folder *folder = &app->folders.all[i];

		folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folder->fd < 0)
			log_error("folder_failed", LOG_STR("folder", folder->name), LOG_STR("path", folder->path),
			          LOG_STR("problem", strerror(errno)));
	}
}
