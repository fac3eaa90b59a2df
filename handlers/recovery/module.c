/* The module "recovery": its routes, where there is mail to recover an account by. */
#include "recovery.h"

static bool setup(struct ones_app *app)
{
	if (!ones_can_mail(app))
		return true;
	forgot_setup(app);
	reset_setup(app);
	return true;
}

ONES_MODULE(.name = "recovery", .setup = setup);
