/* The answers that handlers give: what stands behind all of them. */
#ifndef API_REPLY_H
#define API_REPLY_H

#include "api/exchange.h"

#include <stdbool.h>
#include <stddef.h>

/* May an answer with that status begin? And can it have that type? If not, that is a mistake, which is logged. */
bool reply_may_begin(struct ones_request *req, int status);
bool reply_can_have_type(struct ones_request *req, const char *content_type);

/* Answer with a body that is the request's; without one when `content_type` is NULL. */
void reply_body(struct ones_request *req, int status, const char *content_type, const char *body, size_t size);

/* Answer with JSON of that type. Takes over the reference, also of NULL, which becomes a 500. */
void reply_json_as(struct ones_request *req, int status, const char *content_type, json_t *body);

/* Has no answer been given yet? If it has, `what` is a mistake that is logged. */
bool reply_is_open(const struct ones_request *req, const char *what);

#endif
