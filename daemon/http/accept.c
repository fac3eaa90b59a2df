#include "http/accept.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* How well a range fits: the more exact one's weight counts (RFC 9110, 12.5.1). */
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

bool is_cross_site(const char *sec_fetch_site, const char *origin, const char *host)
{
	const char *origin_host;

	if (sec_fetch_site != NULL && *sec_fetch_site != '\0')
		return strcmp(sec_fetch_site, "same-origin") != 0 && strcmp(sec_fetch_site, "same-site") != 0 &&
		       strcmp(sec_fetch_site, "none") != 0;
	if (origin == NULL || *origin == '\0')
		return false;
	origin_host = strstr(origin, "://");
	return origin_host == NULL || host == NULL || strcasecmp(origin_host + 3, host) != 0;
}
