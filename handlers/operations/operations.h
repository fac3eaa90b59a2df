/* The module "operations": what machines and operators ask about the daemon. */
#ifndef HANDLERS_OPERATIONS_H
#define HANDLERS_OPERATIONS_H

#include "onesession.h"

void health_setup(struct ones_app *app);
void metrics_setup(struct ones_app *app);
void ready_setup(struct ones_app *app);
void status_setup(struct ones_app *app);

#endif
