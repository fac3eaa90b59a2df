/* Loading a module's code into this process. */
#include "modules/load.h"

#include "api/module.h"
#include "base/config_sections.h"
#include "base/utf8.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* What dlerror(3) says begins with the path, which is a descriptor's. */
static const char *without_path(const char *error, const char *path)
{
	size_t length = strlen(path);

	if (error == NULL)
		return "it cannot be loaded";
	return strncmp(error, path, length) == 0 && strncmp(error + length, ": ", 2) == 0 ? error + length + 2 : error;
}

static bool is_folder_name(const char *name)
{
	return name == NULL || (name[0] != '\0' && name[0] != '/' && strstr(name, "..") == NULL &&
	                        strlen(name) < MODULE_FOLDER_SIZE && utf8_is_valid(name));
}

/* Returns 0, or -1 with *problem. What is behind the first two numbers has a meaning only when these are right. */
static int check(const struct module_file *file, const struct ones_module *module, struct problem *problem)
{
	if (module->abi != ONES_ABI)
		return problem_set(problem,
		                   "module %s: it was built for ABI %u, and this daemon has ABI %d: build it anew",
		                   file->called, module->abi, ONES_ABI);
	if (module->size != sizeof *module)
		return problem_set(
			problem,
			"module %s: its struct ones_module has %u bytes, and the daemon's has %zu: build it anew",
			file->called, module->size, sizeof *module);
	if (module->name == NULL || !config_section_can_be(module->name))
		return problem_set(
			problem,
			"module %s: its name is not a letter and then letters, digits and _, all of them small, "
			"up to 31",
			file->called);
	if (file->called[0] != '/' && strcmp(file->called, module->name) != 0)
		return problem_set(problem, "module %s: its own name is another one: %s", file->called, module->name);
	if (module->version != NULL &&
	    (strlen(module->version) >= MODULE_VERSION_SIZE || !utf8_is_valid(module->version)))
		return problem_set(problem, "module %s: its version is not a text of at most %d bytes", file->called,
		                   MODULE_VERSION_SIZE - 1);
	if (!is_folder_name(module->pages) || !is_folder_name(module->migrations))
		return problem_set(problem, "module %s: its pages or migrations are not the name of a folder beside it",
		                   file->called);
	return 0;
}

const struct ones_module *module_load(const struct module_file *file, bool by_path, struct problem *problem)
{
	const struct ones_module *module;
	char path[64];
	const char *from = by_path ? file->path : path;
	void *object;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
	object = dlopen(from, RTLD_NOW | RTLD_LOCAL);
	if (object == NULL) {
		(void)problem_set(problem, "module %s: %s", file->called, without_path(dlerror(), from));
		return NULL;
	}
	module = dlsym(object, "ones_module");
	if (module == NULL) {
		(void)problem_set(problem, "module %s: it has no symbol ones_module: see ONES_MODULE() in onesession.h",
		                  file->called);
		return NULL;
	}
	return check(file, module, problem) == 0 ? module : NULL;
}
