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
	int fraction = (int)(us % US_PER_S + (us % US_PER_S < 0 ? US_PER_S : 0));
	struct tm utc;
	size_t length;

	if (us == 0 || us == INT64_MAX || us == INT64_MIN || gmtime_r(&seconds, &utc) == NULL)
		return false;
	length = strftime(text, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
	if (length == 0)
		return false;
	for (int i = digits; i < DIGITS_OF_US; i++)
		fraction /= 10;
	if (digits > 0)
		(void)snprintf(text + length, RFC3339_SIZE - length, ".%0*dZ", digits, fraction);
	else
		(void)snprintf(text + length, RFC3339_SIZE - length, "Z");
	return true;
}
