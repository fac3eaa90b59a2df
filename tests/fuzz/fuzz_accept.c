/* Lines: Accept, Sec-Fetch-Site, Origin, Host, Accept-Language. Their words are case-insensitive. */
#include "fuzz.h"

#include "http/accept.h"

#include <string.h>
#include <strings.h>

static char *in_capitals(TALLOC_CTX *ctx, const char *text)
{
	char *copy = talloc_strdup(ctx, text);

	MUST(copy != NULL);
	for (char *at = copy; *at != '\0'; at++) {
		if (*at >= 'a' && *at <= 'z')
			*at = (char)(*at - 'a' + 'A');
	}
	return copy;
}

/* The length of a host's name, when its port is a default one. */
static size_t without_port(const char *host)
{
	const char *port = strrchr(host, ':');

	return port != NULL && (strcmp(port, ":443") == 0 || strcmp(port, ":80") == 0) ? (size_t)(port - host)
	                                                                               : strlen(host);
}

static void check_language(TALLOC_CTX *ctx, const char *accept)
{
	static const char *const tags[] = {"de", "en", "en-GB", "zh-Hans"};
	size_t found = accept_language(accept, tags, 4);

	MUST(found <= 4);
	MUST(accept_language(in_capitals(ctx, accept), tags, 4) == found);
	/* Of what is preferred at least the first subtag is asked for. */
	if (found < 4)
		MUST(strcasestr(accept, (const char *[]){"de", "en", "en", "zh"}[found]) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	const char *accept = fuzz_line(ctx, &data, &size);
	const char *site = fuzz_line(ctx, &data, &size);
	const char *origin = fuzz_line(ctx, &data, &size);
	const char *host = fuzz_line(ctx, &data, &size);

	check_language(ctx, fuzz_line(ctx, &data, &size));

	MUST(accept_prefers_json(accept) == accept_prefers_json(in_capitals(ctx, accept)));
	if (strcasestr(accept, "json") == NULL && strcasestr(accept, "application/*") == NULL &&
	    strstr(accept, "*/*") == NULL)
		MUST(!accept_prefers_json(accept));
	if (is_cross_site(site, origin, host)) {
		MUST(*site != '\0' || *origin != '\0');
	} else if ((*site == '\0' || strcmp(site, "same-site") == 0) && *origin != '\0') {
		const char *name = strstr(origin, "://");

		MUST(name != NULL && *host != '\0');
		MUST(without_port(name + 3) == without_port(host) || strcasecmp(name + 3, host) == 0);
		MUST(strncasecmp(name + 3, host, without_port(host)) == 0);
	} else if (*site != '\0') {
		MUST(strcmp(site, "cross-site") != 0);
	}
	MUST(is_cross_site(NULL, origin, NULL) == (*origin != '\0'));
	talloc_free(ctx);
	return 0;
}
