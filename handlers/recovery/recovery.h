/* The module "recovery": a new password for who has forgotten the old one, by mail. */
#ifndef HANDLERS_RECOVERY_H
#define HANDLERS_RECOVERY_H

#include "../shared/shared.h"

void forgot_setup(struct ones_app *app);
void reset_setup(struct ones_app *app);

/*
 * The page with the form for a new password. `values` says what it is chosen by, "token" or "login" and "code", and
 * what has just happened; it leads to `next` (NULL: nowhere in particular). Takes over the reference.
 */
void reset_show(struct ones_request *req, int status, const char *next, json_t *values);

#endif
