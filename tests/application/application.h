/* An application: a module with routes and receivers, as a site would write it. */
#ifndef APPLICATION_H
#define APPLICATION_H

#include "onesession.h"

void audit_setup(struct ones_app *app);
void entrance_setup(struct ones_app *app);
void files_setup(struct ones_app *app);
void gate_setup(struct ones_app *app);
void kept_setup(struct ones_app *app);
void notebook_setup(struct ones_app *app);
void nulls_setup(struct ones_app *app);
void signaller_setup(struct ones_app *app);
void sleeper_setup(struct ones_app *app);
void statements_setup(struct ones_app *app);
void streamer_setup(struct ones_app *app);
void teller_setup(struct ones_app *app);
void titles_setup(struct ones_app *app);
void visits_setup(struct ones_app *app);

/*
 * Set each member of the body's object `field`, if there is one. Returns the names that cannot be kept, a new array;
 * NULL when out of memory.
 */
json_t *keep_members(struct ones_request *req, const char *field);

#endif
