/* The head of a part of multipart/form-data, and parameters of header fields. */
#include "http/part_head.h"

#include <string.h>
#include <strings.h>

static const char separators[] = " \t;";

/*
 * The text after a quotation mark, in place: a backslash stands for the mark behind it, and else for itself, as paths
 * have some. Returns what is behind the closing mark; NULL: there is none.
 */
static char *unquote(char *text)
{
	char *to = text;

	for (; *text != '"'; text++) {
		if (*text == '\\' && text[1] == '"')
			text++;
		if (*text == '\0')
			return NULL;
		*to++ = *text;
	}
	*to = '\0';
	return text + 1;
}

/* Where a value ends that stands there; NULL: it has no end. */
static char *end_of_value(char **value)
{
	char *end;

	if (**value == '"') {
		++*value;
		return unquote(*value);
	}
	end = *value + strcspn(*value, " \t;\"");
	return end > *value ? end : NULL;
}

bool part_head_parameter(char **at, char **name, char **value, bool *is_wrong)
{
	char *text = *at + strspn(*at, separators);
	size_t length = strcspn(text, " \t;=\"");
	char *end;

	*is_wrong = *text != '\0';
	if (length == 0 || text[length] != '=')
		return false;
	text[length] = '\0';
	*name = text;
	*value = text + length + 1;
	end = end_of_value(value);
	if (end == NULL || (*end != '\0' && strchr(separators, *end) == NULL))
		return false;
	*at = *end != '\0' ? end + 1 : end;
	*end = '\0';
	*is_wrong = false;
	return true;
}

/* form-data; name="..."; filename="...". */
static const char *read_disposition(char *value, struct multipart_part *part)
{
	size_t length = strcspn(value, " \t;");
	char *name, *text;
	bool is_wrong;

	if (length != strlen("form-data") || strncasecmp(value, "form-data", length) != 0)
		return "a part is no form-data";
	value += length;
	while (part_head_parameter(&value, &name, &text, &is_wrong)) {
		bool is_name = strcasecmp(name, "name") == 0, is_filename = strcasecmp(name, "filename") == 0;

		if ((is_name && part->name != NULL) || (is_filename && part->filename != NULL))
			return "a part has two names";
		if (is_name)
			part->name = text;
		if (is_filename)
			part->filename = text;
	}
	if (is_wrong)
		return "a part's Content-Disposition cannot be read";
	return part->name != NULL ? NULL : "a part has no name";
}

/* RFC 7578, 4.7: nothing else is in use, and nothing here would decode it. */
static bool is_plain_encoding(const char *value)
{
	return strcasecmp(value, "binary") == 0 || strcasecmp(value, "8bit") == 0 || strcasecmp(value, "7bit") == 0;
}

/* One line, without its end. */
static const char *read_line(char *line, struct multipart_part *part, bool *has_disposition)
{
	char *value = strchr(line, ':');
	size_t length;

	if (value == NULL || value == line || strcspn(line, " \t") < (size_t)(value - line))
		return "a part's header field cannot be read";
	*value++ = '\0';
	value += strspn(value, " \t");
	length = strlen(value);
	while (length > 0 && strchr(" \t", value[length - 1]) != NULL)
		value[--length] = '\0';
	if (strcasecmp(line, "Content-Disposition") == 0) {
		if (*has_disposition)
			return "a part has two names";
		*has_disposition = true;
		return read_disposition(value, part);
	}
	if (strcasecmp(line, "Content-Type") == 0) {
		if (part->content_type != NULL)
			return "a part has two types";
		part->content_type = value;
	} else if (strcasecmp(line, "Content-Transfer-Encoding") == 0 && !is_plain_encoding(value)) {
		return "a part has a transfer encoding";
	}
	return NULL;
}

const char *part_head_read(char *head, size_t size, struct multipart_part *part)
{
	const char *problem = NULL;
	bool has_disposition = false;
	char *line = head;

	*part = (struct multipart_part){0};
	if (memchr(head, '\0', size) != NULL)
		return "a part's head holds a NUL";
	while (problem == NULL && line < head + size) {
		char *end = strstr(line, "\r\n");

		if (end == NULL || strcspn(line, "\r\n") < (size_t)(end - line))
			return "a part's head has a line that does not end with CRLF";
		*end = '\0';
		problem = read_line(line, part, &has_disposition);
		line = end + 2;
	}
	if (problem == NULL && !has_disposition)
		problem = "a part has no name";
	return problem;
}
