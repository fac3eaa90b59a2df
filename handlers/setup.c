/* The list of routes, and of what else is set up before the workers start. */
#include "setup.h"

/* An application adds its own setup functions here. */
void ones_setup(struct ones_app *app)
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
}
