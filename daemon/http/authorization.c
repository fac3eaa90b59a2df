/* Authorization (RFC 9110, 11.6.2): the credentials of the scheme Bearer (RFC 6750). */
#include "http/authorization.h"

#include <strings.h>

bool authorization_bearer(struct fcgi_text field, struct fcgi_text *credentials)
{
	static const char scheme[] = "Bearer ";
	size_t at = sizeof scheme - 1;

	if (field.length < at || strncasecmp(field.at, scheme, at) != 0)
		return false;
	while (at < field.length && field.at[at] == ' ')
		at++;
	*credentials = (struct fcgi_text){field.at + at, field.length - at};
	return true;
}
