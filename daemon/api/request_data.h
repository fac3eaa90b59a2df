/* Session data on the way of a request: read before its handler, written after it. */
#ifndef API_REQUEST_DATA_H
#define API_REQUEST_DATA_H

#include "api/exchange.h"

#include <stdbool.h>

/* After the hook. Returns false when it has answered: the database is not available. */
bool request_data_open(struct ones_request *req);

/*
 * After signing in or out in this request: the data belong to ones_session() from now on. `req->verdict` and
 * `req->key` are the new ones already.
 */
void request_data_rebind(struct ones_request *req);

/* After the handler: write what it has changed. The answer becomes a failure when that fails. */
void request_data_close(struct ones_request *req);

#endif
