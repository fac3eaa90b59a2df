/* What a module says of itself, as its file has it: nothing of it is loaded or run. */
#ifndef CTL_MODULE_OBJECT_H
#define CTL_MODULE_OBJECT_H

#include <talloc.h>

struct module_object {
	const char *name;
	const char *migrations; /* NULL: it names no folder */
};

/* On `ctx`. NULL: there is no such file, or it is no module that this version could load. */
const struct module_object *module_object_read(TALLOC_CTX *ctx, const char *path);

#endif
