/* The module "api": its routes. */
#include "api.h"

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

ONES_MODULE(.name = "api", .setup = setup);
