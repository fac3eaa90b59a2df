/* Moments as text: RFC 3339, in UTC. */
#include "base/rfc3339.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define US_PER_S     1000000
#define DIGITS_OF_US 6

bool rfc3339_write(int64_t us, int digits, char text[RFC3339_SIZE])
{
	const time_t seconds = (time_t)(us / US_PER_S - (us % US_PER_S < 0));
	unsigned int fraction = (unsigned int)(us % US_PER_S + (us % US_PER_S < 0 ? US_PER_S : 0));
	char fraction_digits[DIGITS_OF_US + 1];
	struct tm utc;
	size_t length;

	if (us == 0 || us < RFC3339_FIRST || us >= RFC3339_END || gmtime_r(&seconds, &utc) == NULL)
		return false;
	/* strftime(3) gives the year 44 two digits, which are then read as those of 2044. */
	length = (size_t)snprintf(text, RFC3339_SIZE, "%04d", 1900 + utc.tm_year);
	length += strftime(text + length, RFC3339_SIZE - length, "-%m-%dT%H:%M:%S", &utc);
	(void)snprintf(fraction_digits, sizeof fraction_digits, "%06u", fraction % US_PER_S);
	if (digits > 0)
		(void)snprintf(text + length, RFC3339_SIZE - length, ".%.*sZ", digits, fraction_digits);
	else
		(void)snprintf(text + length, RFC3339_SIZE - length, "Z");
	return true;
}

/* `count` digits; -1 when there are others. */
static int read_digits(const char *text, int count)
{
	int number = 0;

	for (int i = 0; i < count; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = 10 * number + (text[i] - '0');
	}
	return number;
}

/* Microseconds of ".25", and where it ends; nothing for no fraction. False for a point without digits. */
static bool read_fraction(const char **at, int64_t *us)
{
	int64_t unit = US_PER_S / 10;

	*us = 0;
	if (**at != '.')
		return true;
	if (read_digits(++*at, 1) < 0)
		return false;
	for (; **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
		*us += unit * (**at - '0');
	return true;
}

/* "Z", "+02:00", at the end of the text. */
static bool read_offset(const char *at, int64_t *seconds)
{
	int hours, minutes;

	*seconds = 0;
	if ((*at == 'Z' || *at == 'z') && at[1] == '\0')
		return true;
	if ((*at != '+' && *at != '-') || strlen(at) != strlen("+00:00") || at[3] != ':')
		return false;
	hours = read_digits(at + 1, 2);
	minutes = read_digits(at + 4, 2);
	*seconds = (*at == '-' ? -60 : 60) * (60 * (int64_t)hours + minutes);
	return hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60;
}

bool rfc3339_read(const char *text, int64_t *us)
{
	static const char shape[] = "0000-00-00T00:00:00";
	struct tm utc = {0}, again;
	const char *at = text + sizeof shape - 1;
	int64_t fraction, offset;
	time_t seconds;

	if (strnlen(text, sizeof shape) < sizeof shape || text[4] != '-' || text[7] != '-' ||
	    (text[10] != 'T' && text[10] != 't') || text[13] != ':' || text[16] != ':')
		return false;
	utc.tm_year = read_digits(text, 4) - 1900;
	utc.tm_mon = read_digits(text + 5, 2) - 1;
	utc.tm_mday = read_digits(text + 8, 2);
	utc.tm_hour = read_digits(text + 11, 2);
	utc.tm_min = read_digits(text + 14, 2);
	utc.tm_sec = read_digits(text + 17, 2);
	if (utc.tm_year <= -1900 || utc.tm_mon < 0 || utc.tm_mday < 1 || utc.tm_hour < 0 || utc.tm_hour > 23 ||
	    utc.tm_min < 0 || utc.tm_min > 59 || utc.tm_sec < 0 || utc.tm_sec > 59)
		return false;
	again = utc;
	seconds = timegm(&again);
	/* A day that the month has not is one of the next month then. */
	if (again.tm_mday != utc.tm_mday || again.tm_mon != utc.tm_mon || !read_fraction(&at, &fraction) ||
	    !read_offset(at, &offset))
		return false;
	*us = ((int64_t)seconds - offset) * US_PER_S + fraction;
	return *us >= RFC3339_FIRST && *us < RFC3339_END;
}
