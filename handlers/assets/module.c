/* The module "assets": its routes, and the page of errors. */
#include "assets.h"

static bool setup(struct ones_app *app)
{
	ones_error_page(app, "error.html");
	language_setup(app);
	notice_setup(app);
	style_setup(app);
	return true;
}

ONES_MODULE(.name = "assets", .setup = setup);
