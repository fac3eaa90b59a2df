/* The module "session": the list of its routes. */
#include "setup.h"

static bool setup(struct ones_app *app)
{
	ones_error_page(app, "error.html");
	auth_setup(app);
	refused_setup(app);
	me_setup(app);
	state_setup(app);
	login_setup(app);
	logout_setup(app);
	account_setup(app);
	password_setup(app);
	sessions_setup(app);
	style_setup(app);
	notice_setup(app);
	health_setup(app);
	ready_setup(app);
	status_setup(app);
	metrics_setup(app);
	return true;
}

/* The daemon's own routes: a module as any other, but that it is built in. */
const struct ones_module session_module = {
	.abi = ONES_ABI,
	.size = sizeof(struct ones_module),
	.name = "session",
	.setup = setup,
};
