/* The paths of routes: reading one that was declared, and comparing. */
#include "api/route_pattern.h"

#include "base/utf8.h"
#include "http/request.h"

#include <string.h>

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool is_segment(const struct route_segment *segment, const char *text)
{
	return segment->length == strlen(text) && memcmp(segment->text, text, segment->length) == 0;
}

static bool has_any(const struct route_segment *segment, const char *characters)
{
	return strcspn(segment->text, characters) < segment->length;
}

static const char *part_problem(const struct route_pattern *pattern, const struct route_segment *part)
{
	size_t parts = 0;

	if (part->length == 0)
		return "a part has no name";
	if (strspn(part->text, LETTERS DIGITS "_") < part->length || strchr(DIGITS, part->text[0]) != NULL)
		return "a part's name is not of letters, digits and underscores";
	for (size_t i = 0; i < pattern->count; i++) {
		const struct route_segment *other = &pattern->segments[i];

		if (!other->is_part)
			continue;
		parts++;
		if (other->length == part->length && memcmp(other->text, part->text, part->length) == 0)
			return "two parts have the same name";
	}
	return parts == ROUTE_PARTS_MAX ? "it has more than 8 parts" : NULL;
}

/* Web servers take dot segments and empty ones away, and decode the path; what is behind ? or # is no part of it. */
static const char *literal_problem(const struct route_segment *literal, bool is_last)
{
	if (literal->length == 0 && !is_last)
		return "no request can have it: there is nothing between two slashes";
	if (is_segment(literal, ".") || is_segment(literal, ".."))
		return "no request can have it: a dot segment";
	if (has_any(literal, "*"))
		return "it has a *: a part has a name, as in \"/titles/:id\"";
	if (has_any(literal, "?#%\\"))
		return "no request can have it: a path is decoded, and without query and fragment";
	return NULL;
}

const char *route_pattern_read(struct route_pattern *pattern, const char *path)
{
	const char *problem = NULL, *at = path;

	pattern->count = 0;
	if (strlen(path) > REQUEST_PATH_MAX || !utf8_is_valid(path))
		return "no request can have it: it is too long, or no UTF-8";
	for (const char *byte = path; *byte != '\0'; byte++) {
		if (utf8_is_ascii_control(*byte))
			return "no request can have it: a control character";
	}
	while (problem == NULL && *at == '/') {
		struct route_segment segment = {.text = at + 1, .length = strcspn(at + 1, "/")};
		bool is_last = segment.text[segment.length] == '\0';

		at = segment.text + segment.length;
		if (pattern->count == ROUTE_SEGMENTS_MAX)
			return "it has more than 16 segments";
		if (segment.text[0] == ':') {
			segment = (struct route_segment){segment.text + 1, segment.length - 1, true};
			problem = part_problem(pattern, &segment);
		} else {
			problem = literal_problem(&segment, is_last);
		}
		pattern->segments[pattern->count++] = segment;
	}
	return problem;
}

bool route_pattern_fits(const struct route_pattern *pattern, const char *path, struct route_parts *parts)
{
	parts->count = 0;
	for (size_t i = 0; i < pattern->count; i++) {
		const struct route_segment *segment = &pattern->segments[i];
		size_t length;

		if (*path++ != '/')
			return false;
		length = strcspn(path, "/");
		if (segment->is_part ? length == 0
		                     : length != segment->length || memcmp(path, segment->text, length) != 0)
			return false;
		if (segment->is_part)
			parts->all[parts->count++] = (struct route_part){segment->text, segment->length, path, length};
		path += length;
	}
	return *path == '\0';
}

int route_pattern_compare(const struct route_pattern *first, const struct route_pattern *second)
{
	for (size_t i = 0; i < first->count && i < second->count; i++) {
		int difference = (int)first->segments[i].is_part - (int)second->segments[i].is_part;

		if (difference != 0)
			return difference;
	}
	return 0;
}

bool route_pattern_is_same(const struct route_pattern *first, const struct route_pattern *second)
{
	if (first->count != second->count)
		return false;
	for (size_t i = 0; i < first->count; i++) {
		const struct route_segment *one = &first->segments[i], *other = &second->segments[i];

		if (one->is_part != other->is_part)
			return false;
		if (!one->is_part && (one->length != other->length || memcmp(one->text, other->text, one->length) != 0))
			return false;
	}
	return true;
}
