/* The module "recovery": its routes, where there are passwords, and mail to recover an account by. */
#include "recovery.h"

static bool setup(struct ones_app *app)
{
	if (!ones_can_mail(app) || !has_login(app))
		return true;
	forgot_setup(app);
	reset_setup(app);
	return true;
}

ONES_MODULE(.name = "recovery", .setup = setup);
