/* The module "guard": what web servers, applications and open pages ask about a session. */
#ifndef HANDLERS_GUARD_H
#define HANDLERS_GUARD_H

#include "../shared/shared.h"

void auth_setup(struct ones_app *app);
void me_setup(struct ones_app *app);
void refused_setup(struct ones_app *app);
void state_setup(struct ones_app *app);

/* What header fields are called that tell who somebody is. */
struct identity_names {
	const char *user, *user_id, *session_id, *email, *groups, *plan;
};

/* Remote-User and so on. */
extern const struct identity_names identity_fields;

/*
 * Header fields with these names: the account's name and number, the session's public name, the verified address, the
 * groups, separated by commas, and the plan if it has not ended. All are there, and empty without a live session.
 */
void identity_headers(struct ones_request *req, const struct identity_names *names);

/* What Session-Reason says: why there is no live session, or what of the requirement does not hold. */
const char *reason_code(const struct ones_request *req, const struct requirement *requirement);

/*
 * The answer to somebody who is signed in, and lacks what the requirement asks for. Programs get 401 or 403 with the
 * code, and with what would be needed; people a page that says it, and leads on.
 */
void reply_lacking(struct ones_request *req, const struct requirement *requirement);

/*
 * Where people get what they lack, which leads back from there: to a plan, to proving an address, or that it is still
 * them. NULL: there is no such place.
 */
const char *way_to(struct ones_request *req, const struct requirement *requirement);

#endif
