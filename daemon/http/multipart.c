/* multipart/form-data, taken apart as it arrives. */
#include "http/multipart.h"

#include "http/part_head.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* In place of the line's end that comes before every other boundary: the first may stand at the very beginning. */
#define LINE_END_SIZE 2

/* RFC 2046, 5.1.1. */
static bool is_boundary(const char *text)
{
	static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'()+_,-./:=? ";
	size_t length = strlen(text);

	return length > 0 && length <= MULTIPART_BOUNDARY_MAX && strspn(text, allowed) == length &&
	       text[length - 1] != ' ';
}

const char *multipart_init(struct multipart *multipart, const char *content_type, const struct multipart_sink *sink,
                           void *context)
{
	char copy[512];
	char *at = copy, *name, *value;
	const char *boundary = NULL;
	bool is_wrong;

	*multipart = (struct multipart){.sink = sink, .context = context, .matched = LINE_END_SIZE};
	if (strlen(content_type) >= sizeof copy)
		return "its Content-Type is too long";
	memcpy(copy, content_type, strlen(content_type) + 1);
	at += strcspn(at, " \t;");
	while (part_head_parameter(&at, &name, &value, &is_wrong)) {
		if (strcasecmp(name, "boundary") != 0)
			continue;
		if (boundary != NULL)
			return "its Content-Type has two boundaries";
		boundary = value;
	}
	if (is_wrong || boundary == NULL || !is_boundary(boundary))
		return "its Content-Type has no boundary that is one";
	multipart->delimiter_size =
		(size_t)snprintf(multipart->delimiter, sizeof multipart->delimiter, "\r\n--%s", boundary);
	return NULL;
}

static bool set_defect(struct multipart *multipart, const char *defect, bool is_too_much)
{
	multipart->defect = defect;
	multipart->is_too_much = is_too_much;
	return false;
}

/* What stands before the first boundary is nobody's. */
static bool give(struct multipart *multipart, const char *data, size_t size)
{
	return size == 0 || !multipart->is_in_part || multipart->sink->data(multipart->context, data, size);
}

/* The boundary cannot have the delimiter's first byte in it: what was taken for one began nowhere else. */
static bool take_content(struct multipart *multipart, const char **at, const char *end)
{
	while (*at < end && multipart->matched < multipart->delimiter_size) {
		if (**at == multipart->delimiter[multipart->matched]) {
			multipart->matched++;
			(*at)++;
		} else if (multipart->matched > 0) {
			size_t matched = multipart->matched;

			multipart->matched = 0;
			if (!give(multipart, multipart->delimiter, matched))
				return false;
		} else {
			const char *next = memchr(*at, multipart->delimiter[0], (size_t)(end - *at));
			const char *from = *at;

			*at = next != NULL ? next : end;
			if (!give(multipart, from, (size_t)(*at - from)))
				return false;
		}
	}
	if (multipart->matched == multipart->delimiter_size)
		multipart->state = MULTIPART_BOUNDARY_SEEN;
	return true;
}

static bool end_part(struct multipart *multipart)
{
	bool was_in_part = multipart->is_in_part;

	multipart->is_in_part = false;
	return !was_in_part || multipart->sink->end(multipart->context);
}

/* What follows a boundary on its line: two dashes, or white space and the line's end. */
static bool take_line(struct multipart *multipart, char byte)
{
	enum multipart_state state = multipart->state;

	if (state == MULTIPART_BOUNDARY_SEEN && byte == '-')
		multipart->state = MULTIPART_DASH_SEEN;
	else if (state == MULTIPART_DASH_SEEN && byte == '-')
		multipart->state = MULTIPART_OVER;
	else if (state != MULTIPART_DASH_SEEN && state != MULTIPART_LINE_END && (byte == ' ' || byte == '\t'))
		multipart->state = MULTIPART_PADDING;
	else if (state != MULTIPART_DASH_SEEN && state != MULTIPART_LINE_END && byte == '\r')
		multipart->state = MULTIPART_LINE_END;
	else if (state == MULTIPART_LINE_END && byte == '\n')
		multipart->state = MULTIPART_HEAD;
	else
		return set_defect(multipart, "a line begins with the boundary and goes on", false);
	multipart->head_size = 0;
	return (multipart->state != MULTIPART_OVER && multipart->state != MULTIPART_HEAD) || end_part(multipart);
}

/* The empty line that ends a head is there. */
static bool begin_part(struct multipart *multipart)
{
	struct multipart_part part;
	const char *defect;

	if (multipart->part_count == MULTIPART_PARTS_MAX)
		return set_defect(multipart, "more than 64 parts", true);
	multipart->part_count++;
	multipart->head[multipart->head_size] = '\0';
	defect = part_head_read(multipart->head, multipart->head_size, &part);
	if (defect != NULL)
		return set_defect(multipart, defect, false);
	multipart->state = MULTIPART_CONTENT;
	multipart->matched = 0;
	multipart->is_in_part = true;
	return multipart->sink->begin(multipart->context, &part);
}

static bool take_head(struct multipart *multipart, char byte)
{
	char *head = multipart->head;
	size_t size = multipart->head_size;

	if (size == MULTIPART_HEAD_MAX)
		return set_defect(multipart, "the head of a part has more than 8 KiB", true);
	head[size] = byte;
	multipart->head_size = ++size;
	if (size < 2 || memcmp(head + size - 2, "\r\n", 2) != 0 ||
	    (size > 2 && (size < 4 || memcmp(head + size - 4, "\r\n", 2) != 0)))
		return true;
	multipart->head_size = size - 2;
	return begin_part(multipart);
}

bool multipart_feed(struct multipart *multipart, const void *data, size_t size)
{
	const char *at = data, *end = at + size;
	bool goes_on = true;

	while (goes_on && at < end && multipart->state != MULTIPART_OVER) {
		if (multipart->state == MULTIPART_CONTENT)
			goes_on = take_content(multipart, &at, end);
		else if (multipart->state == MULTIPART_HEAD)
			goes_on = take_head(multipart, *at++);
		else
			goes_on = take_line(multipart, *at++);
	}
	return goes_on;
}

bool multipart_finish(struct multipart *multipart)
{
	return multipart->state == MULTIPART_OVER || set_defect(multipart, "it ends before its last boundary", false);
}
