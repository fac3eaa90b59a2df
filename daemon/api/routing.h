/* Routing: the route of a request, the parts of its path, and what is answered before any handler. */
#ifndef API_ROUTING_H
#define API_ROUTING_H

#include "api/exchange.h"

/* Set req->route and req->parts; answers (req->was_answered) when no handler is to see the request. */
void routing_run(struct ones_request *req);

#endif
