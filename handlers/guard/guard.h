/* The module "guard": what web servers, applications and open pages ask about a session. */
#ifndef HANDLERS_GUARD_H
#define HANDLERS_GUARD_H

#include "../shared/shared.h"

void auth_setup(struct ones_app *app);
void me_setup(struct ones_app *app);
void refused_setup(struct ones_app *app);
void state_setup(struct ones_app *app);

/*
 * Header fields with these names: the account's name and number and the session's public name; empty without a live
 * session.
 */
void identity_headers(struct ones_request *req, const char *user_name, const char *id_name, const char *session_name);

#endif
