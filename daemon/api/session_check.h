/* The hook: which session does a request present, and is it still the live one of its account? */
#ifndef API_SESSION_CHECK_H
#define API_SESSION_CHECK_H

#include "api/exchange.h"

/*
 * Have the rule judge what the look-up has found, which is made now unless it was before: sets the request's key,
 * verdict and ending. Anything but DB_OK: they are not known.
 */
enum db_status session_check(struct ones_request *req);

/* Look the presented keys up anew before that, when the answer may have changed. */
enum db_status session_recheck(struct ones_request *req);

#endif
