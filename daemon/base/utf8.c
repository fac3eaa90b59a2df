/* UTF-8 (RFC 3629), and the characters that text may not have. */
#include "base/utf8.h"

#include <string.h>
#include <unictype.h>

size_t utf8_character(const char *text, uint32_t *character)
{
	const unsigned char *byte = (const unsigned char *)text;
	uint32_t point, least;
	size_t size;

	if (byte[0] == '\0')
		return 0;
	if (byte[0] < 0x80) {
		*character = byte[0];
		return 1;
	}
	if ((byte[0] & 0xe0) == 0xc0) {
		size = 2;
		least = 0x80;
		point = byte[0] & 0x1fU;
	} else if ((byte[0] & 0xf0) == 0xe0) {
		size = 3;
		least = 0x800;
		point = byte[0] & 0x0fU;
	} else if ((byte[0] & 0xf8) == 0xf0) {
		size = 4;
		least = 0x10000;
		point = byte[0] & 0x07U;
	} else {
		return 0;
	}
	for (size_t i = 1; i < size; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (byte[i] & 0x3fU);
	}
	if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*character = point;
	return size;
}

size_t utf8_sequence(const char *text)
{
	uint32_t character;

	return utf8_character(text, &character);
}

bool utf8_is_valid(const char *text)
{
	size_t size;

	while ((size = utf8_sequence(text)) > 0)
		text += size;
	return *text == '\0';
}

bool utf8_is_ascii_control(char byte)
{
	return (unsigned char)byte < 0x20 || byte == 0x7f;
}

bool utf8_is_control(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

bool utf8_is_invisible(uint32_t character)
{
	return uc_is_general_category(character, UC_FORMAT) || uc_is_property_default_ignorable_code_point(character) ||
	       character == 0x2800;
}

bool utf8_is_printable(const char *text)
{
	while (*text != '\0') {
		uint32_t character;
		size_t size = utf8_character(text, &character);

		if (size == 0 || utf8_is_control(character))
			return false;
		text += size;
	}
	return true;
}

/* They change the order in which what follows is shown (UAX 9, 2): a line would read as something else. */
static bool is_bidi_control(uint32_t character)
{
	return (character >= 0x202a && character <= 0x202e) || (character >= 0x2066 && character <= 0x2069);
}

void utf8_clean(const char *text, char *out, size_t size)
{
	size_t used = 0;

	while (*text != '\0' && used + 1 < size) {
		uint32_t character;
		size_t sequence = utf8_character(text, &character);

		if (sequence == 0 || utf8_is_control(character) || is_bidi_control(character)) {
			out[used++] = '?';
			text += sequence > 0 ? sequence : 1;
		} else if (used + sequence + 1 > size) {
			break;
		} else {
			memcpy(out + used, text, sequence);
			used += sequence;
			text += sequence;
		}
	}
	out[used] = '\0';
}
