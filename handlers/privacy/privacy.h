/* The module "privacy": what people have deleted of what is kept about them, and what they take along. */
#ifndef HANDLERS_PRIVACY_H
#define HANDLERS_PRIVACY_H

#include "../shared/shared.h"

void delete_setup(struct ones_app *app);
void export_setup(struct ones_app *app);

#endif
