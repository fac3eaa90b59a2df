/* The module "assets": what the pages look like, style sheet, script and the page of errors. */
#ifndef HANDLERS_ASSETS_H
#define HANDLERS_ASSETS_H

#include "onesession.h"

void language_setup(struct ones_app *app);
void notice_setup(struct ones_app *app);
void style_setup(struct ones_app *app);

#endif
