/* What all ways of signing in share: by password, by a proof, and for programs of the site's. */
#ifndef API_SIGNIN_H
#define API_SIGNIN_H

#include "api/exchange.h"

/* The rule's result as a handler gets it. */
enum ones_result signin_describe(struct ones_request *req, enum rule_login_result made,
                                 const struct rule_login *by_rule, struct ones_login *login);

/* login->ticket, by which the question whether to take over is answered; NULL stays where there can be none. */
void signin_issue_ticket(struct ones_request *req, const struct user *user, struct ones_login *login);

/* From now on others' failed attempts at the account do not throttle this browser. A failure has no consequence. */
void signin_remember_browser(struct ones_request *req, const struct login_request *request,
                             const struct rule_login *made);

/* Whoever it was had what lets in, of which there is no other trace: what was stolen could be tried in silence. */
void signin_log_refused(const struct ones_request *req, const struct user *user, enum ones_result result);

#endif
