/* Calls of the site's own programs: which addresses they come from, which token they bring, and what it is good for. */
#ifndef API_CALLERS_H
#define API_CALLERS_H

#include "api/exchange.h"

/* A route with .scope is not there for requests from other addresses than those in api.clients. */
bool caller_may_see(const struct ones_request *req, const struct ones_route *route);

/*
 * Before the hook, at a route with .scope: take the token's key out of the request, and of a route with .key_field the
 * key that is to be looked up. False: it has been answered.
 */
bool caller_read(struct ones_request *req);

/* After the look-up, if there is one: is the program let in? Answers when it is not. */
bool caller_admit(struct ones_request *req);

#endif
