#include "session/reason.h"

#include <string.h>

const char *ones_reason_code(enum ones_reason reason)
{
	static const char *const codes[] = {
		[ONES_LIVE] = "",
		[ONES_UNAUTHENTICATED] = "unauthenticated",
		[ONES_DISPLACED] = "displaced",
		[ONES_EXPIRED] = "expired",
		[ONES_IDLE] = "idle",
		[ONES_LOGGED_OUT] = "logged_out",
		[ONES_REVOKED] = "revoked",
		[ONES_PASSWORD_CHANGED] = "password_changed",
		[ONES_DISABLED] = "disabled",
	};

	return codes[reason];
}

enum ones_reason reason_from_code(const char *code)
{
	for (enum ones_reason reason = ONES_DISPLACED; reason <= ONES_DISABLED; reason++) {
		if (strcmp(code, ones_reason_code(reason)) == 0)
			return reason;
	}
	return ONES_UNAUTHENTICATED;
}
