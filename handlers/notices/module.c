/* The module "notices": its routes and receivers, where there is mail. */
#include "notices.h"

static bool setup(struct ones_app *app)
{
	if (!ones_can_mail(app))
		return true;
	events_setup(app);
	preference_setup(app);
	if (has_login(app))
		undo_setup(app);
	return true;
}

ONES_MODULE(.name = "notices", .setup = setup);
