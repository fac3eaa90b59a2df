/* The module: its setup function calls those of the other files. */
#include "application.h"

static bool setup(struct ones_app *app)
{
	files_setup(app);
	kept_setup(app);
	visits_setup(app);
	entrance_setup(app);
	audit_setup(app);
	gate_setup(app);
	notebook_setup(app);
	nulls_setup(app);
	signaller_setup(app);
	sleeper_setup(app);
	statements_setup(app);
	streamer_setup(app);
	teller_setup(app);
	titles_setup(app);
	return true;
}

ONES_MODULE(.name = "application", .version = "0.1", .setup = setup);
