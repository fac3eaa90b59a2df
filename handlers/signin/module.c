/* The module "signin": its routes. */
#include "signin.h"

static bool setup(struct ones_app *app)
{
	if (has_login(app))
		login_setup(app);
	logout_setup(app);
	return true;
}

ONES_MODULE(.name = "signin", .setup = setup);
