/* Moments as text: RFC 3339, in UTC. */
#include "base/rfc3339.h"

#include <stddef.h>
#include <stdio.h>
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
