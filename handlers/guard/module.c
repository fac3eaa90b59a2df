/* The module "guard": its routes. */
#include "guard.h"

static bool setup(struct ones_app *app)
{
	auth_setup(app);
	me_setup(app);
	refused_setup(app);
	state_setup(app);
	return true;
}

ONES_MODULE(.name = "guard", .setup = setup);
