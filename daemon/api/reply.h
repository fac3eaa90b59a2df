/* The answers that handlers give: what stands behind all of them. */
#ifndef API_REPLY_H
#define API_REPLY_H

#include "api/exchange.h"

#include <stdbool.h>
#include <stddef.h>

/* Answer with a body that is the request's; without one when `content_type` is NULL. */
void reply_body(struct ones_request *req, int status, const char *content_type, const char *body, size_t size);

/* Has no answer been given yet? If it has, `what` is a mistake that is logged. */
bool reply_is_open(const struct ones_request *req, const char *what);

#endif
