/* The target after a login: an accepted one stays on this site, as a browser parses it. */
#include "fuzz.h"

#include "http/next.h"
#include "http/response.h"

#include <string.h>

/*
 * The start of a URL as the WHATWG URL Standard (4.4) reads it on a page of this site: white space and controls before
 * it, and tabs and line ends anywhere, are dropped; a backslash is a slash.
 */
static bool stays_here(const char *url)
{
	char begin[2] = {0};
	size_t count = 0;

	while (*url != '\0' && (unsigned char)*url <= 0x20)
		url++;
	for (; *url != '\0' && count < 2; url++) {
		if (strchr("\t\r\n", *url) == NULL)
			begin[count++] = *url == '\\' ? '/' : *url;
	}
	return begin[0] == '/' && begin[1] != '/';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *target = fuzz_text(NULL, data, size);
	char *location = response_escape_url(target, target);

	MUST(location != NULL);
	for (const char *at = location; *at != '\0'; at++)
		MUST(*at > 0x20 && *at < 0x7f && *at != '\\' && *at != '"' && *at != '<');
	if (next_is_safe(target))
		MUST(stays_here(target) && stays_here(location));
	talloc_free(target);
	return 0;
}
