/* The setup function of the application, in place of the daemon's own, which it calls. */
#include "application.h"

void ones_setup(struct ones_app *app)
{
	daemon_setup(app);
	kept_setup(app);
	visits_setup(app);
	entrance_setup(app);
	audit_setup(app);
	notebook_setup(app);
	signaller_setup(app);
	statements_setup(app);
}
