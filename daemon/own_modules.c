/* The daemon's own module, "session": all that stand in folders of handlers/, built in. */
#include "own_modules.h"

#include "api/module.h"

#include <stddef.h>

/*
 * The Makefile makes own_modules.inc from the folders with a module.c: OWN_MODULE(name) for each, whose ones_module it
 * calls name_module, for there can be only one of that name in a program.
 */
#define OWN_MODULE(name) extern const struct ones_module name##_module;
#include "own_modules.inc"
#undef OWN_MODULE

static const struct ones_module *const all[] = {
#define OWN_MODULE(name) &name##_module,
#include "own_modules.inc"
#undef OWN_MODULE
};

static bool setup(struct ones_app *app)
{
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		if (all[i]->setup != NULL && !all[i]->setup(app))
			return false;
	}
	return true;
}

const struct ones_module own_modules = {
	.abi = ONES_ABI,
	.size = sizeof(struct ones_module),
	.name = MODULE_SESSION,
	.setup = setup,
};
