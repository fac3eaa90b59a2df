/* application/x-www-form-urlencoded: decoding fields, escaping a value. */
#include "http/urlencoded.h"

#include "base/utf8.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decode in place; returns the length, or -1 for a broken escape. */
static ptrdiff_t decode(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; from++) {
		if (*from == '%') {
			int high = hex_digit(from[1]);
			int low = high < 0 ? -1 : hex_digit(from[2]);

			if (low < 0)
				return -1;
			*to++ = (char)(high << 4 | low);
			from += 2;
		} else {
			*to++ = *from == '+' ? ' ' : *from;
		}
	}
	*to = '\0';
	return to - text;
}

static const char *string_defect(char *text)
{
	ptrdiff_t length = decode(text);

	if (length < 0)
		return "a %-escape is not followed by two hexadecimal digits";
	if (memchr(text, '\0', (size_t)length) != NULL)
		return "a field holds a NUL";
	return utf8_is_valid(text) ? NULL : "a field is not valid UTF-8";
}

const char *urlencoded_parse(TALLOC_CTX *ctx, const char *text, size_t size, struct urlencoded *fields)
{
	char *copy = talloc_strndup(ctx, text, size);
	char *rest = copy;
	char *pair;

	fields->count = 0;
	if (copy == NULL)
		return "out of memory";
	if (strlen(copy) != size)
		return "it holds a NUL";
	while ((pair = strsep(&rest, "&")) != NULL) {
		char *value = strchr(pair, '=');
		const char *defect;

		if (*pair == '\0')
			continue;
		if (value == NULL)
			value = pair + strlen(pair);
		else
			*value++ = '\0';
		if (fields->count == URLENCODED_FIELDS_MAX)
			return "more than 100 fields";
		defect = string_defect(pair);
		if (defect == NULL)
			defect = string_defect(value);
		if (defect != NULL)
			return defect;
		fields->fields[fields->count++] = (struct urlencoded_field){.name = pair, .value = value};
	}
	return NULL;
}

const char *urlencoded_get(const struct urlencoded *fields, const char *name)
{
	for (size_t i = 0; i < fields->count; i++) {
		if (strcmp(fields->fields[i].name, name) == 0)
			return fields->fields[i].value;
	}
	return NULL;
}

char *urlencoded_escape(TALLOC_CTX *ctx, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *escaped = talloc_size(ctx, 3 * strlen(text) + 1);
	char *to = escaped;

	if (escaped == NULL)
		return NULL;
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (isalnum(byte) || strchr("-._~/", byte) != NULL) {
			*to++ = (char)byte;
		} else {
			*to++ = '%';
			*to++ = digits[byte >> 4];
			*to++ = digits[byte & 15];
		}
	}
	*to = '\0';
	return escaped;
}
