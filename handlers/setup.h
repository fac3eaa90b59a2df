/* The setup functions of the routes, one for each file here; setup.c calls them. */
#ifndef HANDLERS_SETUP_H
#define HANDLERS_SETUP_H

#include "onesession.h"

void account_setup(struct ones_app *app);
void auth_setup(struct ones_app *app);
void health_setup(struct ones_app *app);
void login_setup(struct ones_app *app);
void logout_setup(struct ones_app *app);
void me_setup(struct ones_app *app);
void ready_setup(struct ones_app *app);
void state_setup(struct ones_app *app);
void style_setup(struct ones_app *app);

#endif
