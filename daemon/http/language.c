/* Languages by their tags (RFC 5646). */
#include "http/language.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define SUBTAG_MAX 8

bool language_is_tag(const char *text)
{
	size_t length = strlen(text), size = 0;
	bool is_first = true;

	if (length >= LANGUAGE_TAG_SIZE)
		return false;
	/* With the NUL, which ends the last subtag. */
	for (size_t i = 0; i <= length; i++) {
		if (text[i] == '-' || text[i] == '\0') {
			if (size < (is_first ? 2 : 1) || size > SUBTAG_MAX)
				return false;
			is_first = false;
			size = 0;
		} else if (is_first ? !isalpha((unsigned char)text[i]) : !isalnum((unsigned char)text[i])) {
			return false;
		} else {
			size++;
		}
	}
	return true;
}

/* What is left without the last subtag, and without a single character before it, which means nothing alone. */
static size_t shorten(const char *range, size_t length)
{
	while (length > 0 && range[length - 1] != '-')
		length--;
	if (length > 0)
		length--;
	return length >= 2 && range[length - 2] == '-' ? length - 2 : length;
}

size_t language_find(const char *range, size_t length, const char *const tags[], size_t count)
{
	for (; length > 0; length = shorten(range, length)) {
		size_t begun = count;

		for (size_t i = 0; i < count; i++) {
			if (strncasecmp(tags[i], range, length) != 0)
				continue;
			if (tags[i][length] == '\0')
				return i;
			if (tags[i][length] == '-' && begun == count)
				begun = i;
		}
		if (begun < count)
			return begun;
	}
	return count;
}
