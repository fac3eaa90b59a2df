/* SQL of a request's handler: behind ones_db(). */
#ifndef API_REQUEST_DB_H
#define API_REQUEST_DB_H

#include "api/exchange.h"

#include <stdbool.h>
#include <stdint.h>

/* When (clock_monotonic_ms()) what the request's handler waits for, be it the database or a service, is given up. */
int64_t request_until_ms(const struct ones_request *req);

/* Around each call that makes a piece of a stream: ones_stream_db() has SQL. False: it has misread rows. */
void request_stream_db_begin(struct ones_request *req);
bool request_stream_db_end(struct ones_request *req);

/* After the handler: what went by rows that it has misread is no answer. */
void request_db_close(struct ones_request *req);

/*
 * Before a call that has a transaction of its own: what an earlier one was refused for is forgotten. While the handler
 * is in a transaction it is not to go on: false, and logged. `call` is its name.
 */
bool request_db_take(struct ones_request *req, const char *call);

#endif
