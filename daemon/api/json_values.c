/* What handlers answer with, as JSON: moments, users, sessions, places. */
#include "base/rfc3339.h"
#include "onesession.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

json_t *ones_time_json(ones_time when)
{
	char text[RFC3339_SIZE];

	return rfc3339_write(when, 0, text) ? json_string(text) : json_null();
}

json_t *ones_by_json(const struct ones_ending *ending)
{
	return json_pack("{s:s, s:s}", "browser", ending->by_browser, "os", ending->by_os);
}

json_t *ones_place_json(const struct ones_place *place)
{
	return json_pack("{s:s, s:o, s:o, s:s, s:s}", "id", place->id, "created_at", ones_time_json(place->created_at),
	                 "last_seen_at", ones_time_json(place->last_seen_at), "browser", place->browser, "os",
	                 place->os);
}

json_t *ones_wait_json(int64_t wait_s)
{
	int64_t minutes = (wait_s + 59) / 60;

	return wait_s > 0 ? json_pack("{s:I, s:b}", "minutes", (json_int_t)minutes, "one", minutes == 1) : NULL;
}

/* Nothing but the time for today, no year for this one. */
static size_t write_moment(char *text, size_t size, const struct tm *utc, const struct tm *today)
{
	if (utc->tm_year != today->tm_year)
		return strftime(text, size, "%e %B %Y, %H:%M UTC", utc);
	if (utc->tm_yday != today->tm_yday)
		return strftime(text, size, "%e %B, %H:%M UTC", utc);
	return strftime(text, size, "%H:%M UTC", utc);
}

/* Texts of languages with names for months choose by the name, others take the number. */
static json_t *month_json(int month)
{
	static const char *const names[] = {"january", "february", "march",     "april",   "may",      "june",
	                                    "july",    "august",   "september", "october", "november", "december"};

	return json_pack("{s:i, s:b}", "number", month + 1, names[month], 1);
}

json_t *ones_moment_json(ones_time when)
{
	time_t seconds = (time_t)(when / 1000000);
	time_t now = time(NULL);
	char text[64], clock[8], iso[RFC3339_SIZE];
	struct tm utc, today;

	if (!rfc3339_write(when, 0, iso) || gmtime_r(&seconds, &utc) == NULL || gmtime_r(&now, &today) == NULL ||
	    write_moment(text, sizeof text, &utc, &today) == 0 || strftime(clock, sizeof clock, "%H:%M", &utc) == 0)
		return json_null();
	return json_pack("{s:s, s:s, s:b, s:s, s:i, s:o, s:o}", "text", text + strspn(text, " "), "iso", iso, "today",
	                 utc.tm_year == today.tm_year && utc.tm_yday == today.tm_yday, "clock", clock, "day",
	                 utc.tm_mday, "month", month_json(utc.tm_mon), "year",
	                 utc.tm_year == today.tm_year ? json_null() : json_integer(1900 + utc.tm_year));
}

json_t *ones_user_json(const struct ones_user *user)
{
	return json_pack("{s:I, s:s, s:b}", "id", (json_int_t)user->id, "username", user->username, "is_admin",
	                 (int)user->is_admin);
}

json_t *ones_session_json(const struct ones_session *session)
{
	if (session == NULL)
		return json_null();
	return json_pack("{s:s, s:o, s:o, s:o}", "id", session->id, "created_at", ones_time_json(session->created_at),
	                 "last_seen_at", ones_time_json(session->last_seen_at), "expires_at",
	                 ones_time_json(session->expires_at));
}
