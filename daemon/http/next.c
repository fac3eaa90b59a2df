/* Where a sign-in page may send people afterwards. */
#include "http/next.h"

#include "base/utf8.h"

#include <stddef.h>
#include <string.h>

/*
 * Browsers drop tabs and line ends, take a backslash for a slash, and take two slashes for the beginning of a host.
 * So nothing of that kind is let through at all; what is left begins with one slash, and is a path of this site.
 */
bool next_is_safe(const char *target)
{
	if (target == NULL || target[0] != '/' || target[1] == '/')
		return false;
	for (const char *at = target; *at != '\0'; at++) {
		if (utf8_is_ascii_control(*at) || *at == '\\')
			return false;
	}
	return true;
}
