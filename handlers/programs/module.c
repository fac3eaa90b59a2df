/* The module "programs": its routes. */
#include "programs.h"

static bool setup(struct ones_app *app)
{
	api_users_setup(app);
	api_user_changes_setup(app);
	api_sessions_setup(app);
	api_sign_in_setup(app);
	api_check_setup(app);
	api_events_setup(app);
	api_openapi_setup(app);
	return true;
}

ONES_MODULE(.name = "programs", .setup = setup);
