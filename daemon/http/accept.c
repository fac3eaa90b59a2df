/* What the headers of a request say about its client: preferred type, own site or another. */
#include "http/accept.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* How well a range fits: the weight of the more exact one counts (RFC 9110, 12.5.1). */
enum fit { FIT_NONE, FIT_ANY, FIT_TYPE, FIT_EXACT };

#define RANGES_MAX 50

struct preference {
	enum fit fit;
	int weight; /* thousandths */
};

/* "0.5" in thousandths; what cannot be read counts in full. */
static int parse_weight(const char *text)
{
	int weight = 0, place = 100;

	if (*text == '1')
		return 1000;
	if (*text != '0')
		return 1000;
	text++;
	if (*text == '.')
		text++;
	for (; place > 0 && *text >= '0' && *text <= '9'; text++, place /= 10)
		weight += (*text - '0') * place;
	return weight;
}

static int range_weight(const char *range, size_t length)
{
	const char *end = range + length;

	for (const char *at = range; at < end; at++) {
		if (*at != ';')
			continue;
		at++;
		at += strspn(at, " \t");
		if (at + 2 < end && (at[0] == 'q' || at[0] == 'Q') && at[1] == '=')
			return parse_weight(at + 2);
		at--;
	}
	return 1000;
}

static bool is_range(const char *range, size_t length, const char *wanted)
{
	return length == strlen(wanted) && strncasecmp(range, wanted, length) == 0;
}

static void consider(struct preference *preference, enum fit fit, int weight)
{
	if (fit > preference->fit || (fit == preference->fit && weight > preference->weight))
		*preference = (struct preference){fit, weight};
}

bool accept_prefers_json(const char *accept)
{
	struct preference json = {FIT_NONE, 0};
	struct preference html = {FIT_NONE, 0};

	for (int i = 0; accept != NULL && *accept != '\0' && i < RANGES_MAX; i++) {
		size_t length, type_length;
		int weight;

		accept += strspn(accept, " \t,");
		length = strcspn(accept, ",");
		type_length = strcspn(accept, " \t;,");
		weight = range_weight(accept, length);
		if (is_range(accept, type_length, "application/json") ||
		    is_range(accept, type_length, "application/problem+json"))
			consider(&json, FIT_EXACT, weight);
		else if (is_range(accept, type_length, "application/*"))
			consider(&json, FIT_TYPE, weight);
		else if (is_range(accept, type_length, "text/html") ||
		         is_range(accept, type_length, "application/xhtml+xml"))
			consider(&html, FIT_EXACT, weight);
		else if (is_range(accept, type_length, "text/*"))
			consider(&html, FIT_TYPE, weight);
		else if (is_range(accept, type_length, "*/*")) {
			consider(&json, FIT_ANY, weight);
			consider(&html, FIT_ANY, weight);
		}
		accept += length;
	}
	return json.weight > html.weight || (json.weight > 0 && json.weight == html.weight && json.fit > html.fit);
}

bool accept_names_html(const char *accept)
{
	for (int i = 0; accept != NULL && *accept != '\0' && i < RANGES_MAX; i++) {
		size_t length;

		accept += strspn(accept, " \t,");
		length = strcspn(accept, ",");
		if (is_range(accept, strcspn(accept, " \t;,"), "text/html") && range_weight(accept, length) > 0)
			return true;
		accept += length;
	}
	return false;
}

/* How much of "host:port" counts: all of it but a port that goes without saying. */
static size_t authority_length(const char *authority, const char *port)
{
	size_t length = strlen(authority), port_length = strlen(port);

	if (length > port_length && strcmp(authority + length - port_length, port) == 0)
		return length - port_length;
	return length;
}

/* Is it the origin of the site that the request was sent to? Of that the scheme is not known for sure. */
static bool is_own_origin(const char *origin, const char *host)
{
	const char *authority = strstr(origin, "://");
	size_t length, host_length;

	if (authority == NULL)
		return false;
	authority += 3;
	if (strcasecmp(authority, host) == 0)
		return *host != '\0';
	length = authority_length(authority, strncasecmp(origin, "https:", 6) == 0 ? ":443" : ":80");
	host_length = authority_length(host, ":443");
	if (host_length == strlen(host))
		host_length = authority_length(host, ":80");
	return length > 0 && length == host_length && strncasecmp(authority, host, length) == 0;
}

bool is_cross_site(const char *sec_fetch_site, const char *origin, const char *host)
{
	bool is_sent = sec_fetch_site != NULL && *sec_fetch_site != '\0';

	/* Another host below the same domain may be run by another party. */
	if (is_sent && strcmp(sec_fetch_site, "same-site") != 0)
		return strcmp(sec_fetch_site, "same-origin") != 0 && strcmp(sec_fetch_site, "none") != 0;
	if (origin == NULL || *origin == '\0')
		return is_sent;
	return host == NULL || !is_own_origin(origin, host);
}
