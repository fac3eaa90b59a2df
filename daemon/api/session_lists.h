/* Where an account is live and was, in a handler's words. */
#ifndef API_SESSION_LISTS_H
#define API_SESSION_LISTS_H

#include "onesession.h"
#include "session/session_info.h"

#include <stdbool.h>

/* False when out of memory. */
bool describe_sessions(struct ones_request *req, const struct session_info_list *list, struct ones_places *places);

#endif
