/* What is kept with the session, on a request's way: read before the handler, written after it. */
#ifndef API_DATA_H
#define API_DATA_H

#include "onesession.h"

#include <stdbool.h>

/* After the hook. Returns false when it has answered: there is no database. */
bool data_open(struct ones_request *req);

/*
 * Somebody has signed in or out in this request: ones_session() is whose data it is from now on. `req->verdict` and
 * `req->key` are the new ones already.
 */
void data_rebind(struct ones_request *req);

/* After the handler: write what it has changed. The answer becomes a failure when that fails. */
void data_close(struct ones_request *req);

#endif
