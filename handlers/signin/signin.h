/* The module "signin": signing in and out. */
#ifndef HANDLERS_SIGNIN_H
#define HANDLERS_SIGNIN_H

#include "../shared/shared.h"

void login_setup(struct ones_app *app);
void logout_setup(struct ones_app *app);

#endif
