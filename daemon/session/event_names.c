/* The names of events that have rows. */
#include "session/event_names.h"

#include <string.h>

const char *const event_names[] = {
	"user_logged_in",        "session_displaced",  "session_replaced",   "user_logged_out",
	"user_login_failed",     "login_throttled",    "requests_throttled", "account_shared",
	"password_changed",      "identity_confirmed", "user_added",         "user_invited",
	"user_email_changed",    "password_withdrawn", "deletion_requested", "deletion_cancelled",
	"user_password_changed", "user_enabled",       "user_disabled",      "user_deleted",
	"user_changed",          "user_unlocked",      "user_renamed",       "user_admin_changed",
	"user_limit_changed",    "plan_added",         "plan_changed",       "plan_deleted",
	"sessions_ended",        "token_added",        "token_revoked",      "webhook_added",
	"webhook_removed",       "webhook_retried",    "webhook_disabled",   NULL,
};

bool event_name_is_known(const char *name, size_t length)
{
	for (size_t i = 0; event_names[i] != NULL; i++) {
		if (strlen(event_names[i]) == length && memcmp(event_names[i], name, length) == 0)
			return true;
	}
	return false;
}
