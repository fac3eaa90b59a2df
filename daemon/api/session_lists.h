/* The live and the past sessions of an account, as handlers get them. */
#ifndef API_SESSION_LISTS_H
#define API_SESSION_LISTS_H

#include "api/exchange.h"
#include "session/session_info.h"

#include <stdbool.h>

/* The sessions of `list` as a handler gets them, on `req`. False when out of memory. */
bool describe_sessions(struct ones_request *req, const struct session_info_list *list, struct ones_places *places);

#endif
