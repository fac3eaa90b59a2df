/* The module "account": its routes. */
#include "account.h"

static bool setup(struct ones_app *app)
{
	account_setup(app);
	if (has_login(app)) {
		confirm_setup(app);
		password_setup(app);
	}
	sessions_setup(app);
	return true;
}

ONES_MODULE(.name = "account", .setup = setup);
