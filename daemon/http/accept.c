/* What the headers of a request say about its client: preferred type and language, own site or another. */
#include "http/accept.h"

#include "http/language.h"

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

/* One of the list, without its parameters. */
struct range {
	const char *text;
	size_t length;
	int weight;
};

/* A list (RFC 9110, 5.6.1) that is gone through. */
struct ranges {
	const char *rest;
	int count;
};

static bool next_range(struct ranges *ranges, struct range *range)
{
	const char *text = ranges->rest;
	size_t length;

	if (text == NULL || *text == '\0' || ranges->count++ == RANGES_MAX)
		return false;
	text += strspn(text, " \t,");
	length = strcspn(text, ",");
	*range = (struct range){text, strcspn(text, " \t;,"), range_weight(text, length)};
	ranges->rest = text + length;
	return true;
}

static bool is_range(const struct range *range, const char *wanted)
{
	return range->length == strlen(wanted) && strncasecmp(range->text, wanted, range->length) == 0;
}

static void consider(struct preference *preference, enum fit fit, int weight)
{
	if (fit > preference->fit || (fit == preference->fit && weight > preference->weight))
		*preference = (struct preference){fit, weight};
}

bool accept_prefers_json(const char *accept)
{
	struct ranges ranges = {.rest = accept};
	struct preference json = {FIT_NONE, 0};
	struct preference html = {FIT_NONE, 0};
	struct range range;

	while (next_range(&ranges, &range)) {
		if (is_range(&range, "application/json") || is_range(&range, "application/problem+json"))
			consider(&json, FIT_EXACT, range.weight);
		else if (is_range(&range, "application/*"))
			consider(&json, FIT_TYPE, range.weight);
		else if (is_range(&range, "text/html") || is_range(&range, "application/xhtml+xml"))
			consider(&html, FIT_EXACT, range.weight);
		else if (is_range(&range, "text/*"))
			consider(&html, FIT_TYPE, range.weight);
		else if (is_range(&range, "*/*")) {
			consider(&json, FIT_ANY, range.weight);
			consider(&html, FIT_ANY, range.weight);
		}
	}
	return json.weight > html.weight || (json.weight > 0 && json.weight == html.weight && json.fit > html.fit);
}

bool accept_names_html(const char *accept)
{
	struct ranges ranges = {.rest = accept};
	struct range range;

	while (next_range(&ranges, &range))
		if (range.weight > 0 && is_range(&range, "text/html"))
			return true;
	return false;
}

size_t accept_language(const char *accept, const char *const tags[], size_t count)
{
	struct ranges ranges = {.rest = accept};
	struct range range;
	size_t best = count;
	int best_weight = 0;

	while (next_range(&ranges, &range)) {
		size_t found = count;

		if (range.weight > best_weight && range.length < LANGUAGE_TAG_SIZE)
			found = language_find(range.text, range.length, tags, count);
		if (found < count) {
			best = found;
			best_weight = range.weight;
		}
	}
	return best;
}

/* How much of "host:port" counts: all of its `length` but a port that goes without saying. */
static size_t authority_length(const char *authority, size_t length, const char *port)
{
	size_t port_length = strlen(port);

	if (length > port_length && strncmp(authority + length - port_length, port, port_length) == 0)
		return length - port_length;
	return length;
}

static bool is_same(const char *authority, size_t length, const char *host, size_t host_length)
{
	return length > 0 && length == host_length && strncasecmp(authority, host, length) == 0;
}

const char *own_site_path(const char *url, const char *host)
{
	const char *authority = strstr(url, "://");
	size_t length, host_length = strlen(host), plain_host_length;
	const char *path;

	if (authority == NULL)
		return NULL;
	authority += 3;
	length = strcspn(authority, "/");
	path = authority + length;
	if (is_same(authority, length, host, host_length))
		return path;
	length = authority_length(authority, length, strncasecmp(url, "https:", 6) == 0 ? ":443" : ":80");
	plain_host_length = authority_length(host, host_length, ":443");
	if (plain_host_length == host_length)
		plain_host_length = authority_length(host, host_length, ":80");
	return is_same(authority, length, host, plain_host_length) ? path : NULL;
}

static bool is_own_origin(const char *origin, const char *host)
{
	const char *path = own_site_path(origin, host);

	return path != NULL && *path == '\0';
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
