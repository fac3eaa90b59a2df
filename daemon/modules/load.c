/* Loading a module's code into this process. */
#include "modules/load.h"

#include "api/module.h"
#include "base/config_sections.h"
#include "base/module_folder.h"
#include "base/utf8.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What dlerror(3) says begins with the path, which is a descriptor's. */
static const char *without_path(const char *error, const char *path)
{
	size_t length = strlen(path);

	if (error == NULL)
		return "it cannot be loaded";
	return strncmp(error, path, length) == 0 && strncmp(error + length, ": ", 2) == 0 ? error + length + 2 : error;
}

/* ---- Sanitizers ---------------------------------------------------------------------------------------------- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_ADDRESS_SANITIZER
#endif

#ifdef HAS_ADDRESS_SANITIZER
int module_check_sanitizer(const struct module_file *file, struct problem *problem)
{
	(void)file;
	(void)problem;
	return 0;
}
#else
/* Its runtime wants to be the first library of a process, and ends one that loads it later. */
int module_check_sanitizer(const struct module_file *file, struct problem *problem)
{
	static const char symbol[] = "__asan_init";
	off_t size = lseek(file->fd, 0, SEEK_END);
	const void *content = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, file->fd, 0) : MAP_FAILED;
	bool is_sanitized;

	if (content == MAP_FAILED)
		return problem_set(problem, "module %s: %s", file->called, size == 0 ? "it is empty" : strerror(errno));
	is_sanitized = memmem(content, (size_t)size, symbol, sizeof symbol) != NULL;
	(void)munmap((void *)(uintptr_t)content, (size_t)size);
	if (!is_sanitized)
		return 0;
	return problem_set(problem,
	                   "module %s: it was built with -fsanitize=address, and this daemon was not: build one of "
	                   "them as the other is (make SANITIZE=address,undefined)",
	                   file->called);
}
#endif

/* ---- What it says of itself ---------------------------------------------------------------------------------- */

static bool is_folder_or_none(const char *name)
{
	return name == NULL || module_folder_can_be(name);
}

int module_check_declared(const char *called, const struct ones_module *module, struct problem *problem)
{
	/* What is behind the first two numbers has a meaning only when these are right. */
	if (module->abi != ONES_ABI)
		return problem_set(problem,
		                   "module %s: it was built for ABI %u, and this daemon has ABI %d: build it anew",
		                   called, module->abi, ONES_ABI);
	if (module->size != sizeof *module)
		return problem_set(
			problem,
			"module %s: its struct ones_module has %u bytes, and the daemon's has %zu: build it anew",
			called, module->size, sizeof *module);
	if (module->name == NULL || !config_section_can_be(module->name))
		return problem_set(
			problem,
			"module %s: its name is not a letter and then letters, digits and _, all of them small, "
			"up to 31",
			called);
	if (called[0] != '/' && strcmp(called, module->name) != 0)
		return problem_set(problem, "module %s: its own name is another one: %s", called, module->name);
	if (module->version != NULL &&
	    (strlen(module->version) >= MODULE_VERSION_SIZE || !utf8_is_valid(module->version)))
		return problem_set(problem, "module %s: its version is not a text of at most %d bytes", called,
		                   MODULE_VERSION_SIZE - 1);
	if (!is_folder_or_none(module->pages) || !is_folder_or_none(module->migrations))
		return problem_set(problem, "module %s: its pages or migrations are not the name of a folder beside it",
		                   called);
	return 0;
}

/* ---- Loading it ---------------------------------------------------------------------------------------------- */

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
	return module_check_declared(file->called, module, problem) == 0 ? module : NULL;
}
