/* The module "privacy": its routes. */
#include "privacy.h"

static bool setup(struct ones_app *app)
{
	if (has_login(app))
		delete_setup(app);
	export_setup(app);
	return true;
}

ONES_MODULE(.name = "privacy", .setup = setup);
