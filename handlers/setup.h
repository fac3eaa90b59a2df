/* The setup functions of the routes, one for each file here; setup.c calls them. */
#ifndef HANDLERS_SETUP_H
#define HANDLERS_SETUP_H

#include "onesession.h"

/* Apache's ErrorDocument makes every request a GET, and keeps the method that was in this parameter. */
#define METHOD_BEFORE_APACHE "REDIRECT_REQUEST_METHOD"

void account_setup(struct ones_app *app);
void auth_setup(struct ones_app *app);
void health_setup(struct ones_app *app);
void login_setup(struct ones_app *app);
void logout_setup(struct ones_app *app);
void me_setup(struct ones_app *app);
void metrics_setup(struct ones_app *app);
void notice_setup(struct ones_app *app);
void password_setup(struct ones_app *app);
void ready_setup(struct ones_app *app);
void refused_setup(struct ones_app *app);
void sessions_setup(struct ones_app *app);
void state_setup(struct ones_app *app);
void status_setup(struct ones_app *app);
void style_setup(struct ones_app *app);

/*
 * Header fields with these names: the account's name and number and the session's public name; empty without a live
 * session.
 */
void identity_headers(struct ones_request *req, const char *user_name, const char *id_name, const char *session_name);

/* The account page with one more value, true: "changed", "wrong"...; NULL: none. `wait_s` is for "throttled", else 0.
 */
void account_show(struct ones_request *req, int status, const char *notice, int64_t wait_s);

/* For people a redirect to the sign-in page, which says why; for programs 401. */
void reply_not_signed_in(struct ones_request *req);

/* For pages, new references, NULL when out of memory: how a session ended (NULL also when none has ended), */
json_t *ending_for_page(const struct ones_ending *ending);

/* and where an account is live. */
json_t *places_for_page(const struct ones_places *places);

/*
 * The sign-in page, which says why the session has ended and leads to `next` (NULL: nowhere in particular). `lost`: it
 * says, too, that what was sent is not there.
 */
void login_show(struct ones_request *req, int status, const char *next, bool lost);

/*
 * Where the sign-in page leads back to after a refused request: the request target, as the client wrote it, or, as a
 * GET does not repeat what a form has sent, the page that the form was on; NULL when that is not known.
 */
const char *return_address(const struct ones_request *req);

/* True when the refused request was to do something, which is not done now. */
bool is_lost(const struct ones_request *req);

#endif
