/* Why a session ended, as a code. */
#include "session/reason.h"

#include <string.h>

const char *ones_reason_code(enum ones_reason reason)
{
	static const char *const codes[] = {
		[ONES_REASON_LIVE] = "",
		[ONES_REASON_UNAUTHENTICATED] = "unauthenticated",
		[ONES_REASON_DISPLACED] = "displaced",
		[ONES_REASON_EXPIRED] = "expired",
		[ONES_REASON_IDLE] = "idle",
		[ONES_REASON_LOGGED_OUT] = "logged_out",
		[ONES_REASON_REVOKED] = "revoked",
		[ONES_REASON_PASSWORD_CHANGED] = "password_changed",
		[ONES_REASON_DISABLED] = "disabled",
	};

	return codes[reason];
}

enum ones_reason reason_from_code(const char *code)
{
	for (enum ones_reason reason = ONES_REASON_DISPLACED; reason <= ONES_REASON_DISABLED; reason++) {
		if (strcmp(code, ones_reason_code(reason)) == 0)
			return reason;
	}
	return ONES_REASON_UNAUTHENTICATED;
}
