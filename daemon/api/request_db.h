/* SQL of a request's handler: behind ones_db(). */
#ifndef API_REQUEST_DB_H
#define API_REQUEST_DB_H

#include "api/exchange.h"

#include <stdbool.h>

/* After the handler: what went by rows that it has misread is no answer. */
void request_db_close(struct ones_request *req);

/*
 * A call that has a transaction of its own is refused while the handler is in one: false, and logged. `call` is its
 * name.
 */
bool request_db_is_free(const struct ones_request *req, const char *call);

#endif
