/* Why a session ended, as a code; ones_reason_code() is the other way. */
#ifndef SESSION_REASON_H
#define SESSION_REASON_H

#include "onesession.h"

/* The reason of that code, as ended_sessions holds it; ONES_REASON_UNAUTHENTICATED for a code that is not known. */
enum ones_reason reason_from_code(const char *code);

#endif
