/* The module "operations": its routes. */
#include "operations.h"

static bool setup(struct ones_app *app)
{
	health_setup(app);
	metrics_setup(app);
	ready_setup(app);
	status_setup(app);
	return true;
}

ONES_MODULE(.name = "operations", .setup = setup);
