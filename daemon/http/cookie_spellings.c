/* Cookies that are not written as RFC 6265 says: what other programs, which decode and trim, may read in them. */
#include "http/cookie_spellings.h"

#include <ctype.h>
#include <string.h>

/* What some program trims, or takes for the end of a pair. */
static bool is_between(char byte)
{
	return byte <= ' ' || byte >= 0x7f || byte == ';' || byte == ',';
}

static bool ends_pair(char byte)
{
	return byte == ';' || byte == ',';
}

static int digit_of(char byte)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = byte != '\0' ? strchr(digits, tolower((unsigned char)byte)) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

static bool is_octal(const char *at)
{
	return at[0] >= '0' && at[0] <= '3' && at[1] >= '0' && at[1] <= '7' && at[2] >= '0' && at[2] <= '7';
}

/* What is left of a text, and how it is read. */
struct reader {
	const char *at;
	size_t left;
	bool has_backslashes, has_escapes;
};

static char next_unescaped(struct reader *reader)
{
	const char *at = reader->at;
	size_t length = 1;
	char byte = at[0];

	if (reader->has_backslashes && byte == '\\' && reader->left >= 2) {
		bool is_number = reader->left >= 4 && is_octal(at + 1);

		length = is_number ? 4 : 2;
		byte = is_number ? (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + at[3] - '0') : at[1];
	}
	reader->at += length;
	reader->left -= length;
	return byte;
}

/* Only of one that has something left. */
static char next_byte(struct reader *reader)
{
	char byte = next_unescaped(reader);
	struct reader behind = *reader;
	int high = -1, low = -1;

	if (!reader->has_escapes || byte != '%')
		return byte;
	if (behind.left > 0)
		high = digit_of(next_unescaped(&behind));
	if (behind.left > 0)
		low = digit_of(next_unescaped(&behind));
	if (high < 0 || low < 0)
		return byte;
	*reader = behind;
	return (char)(high * 16 + low);
}

/* ---- Names -------------------------------------------------------------------------------------------------- */

static char fold(char byte)
{
	return strchr(".+[ ", byte) != NULL && byte != '\0' ? '_' : (char)tolower((unsigned char)byte);
}

/* Is it `name`, to some program? */
static bool is_alike(const char *at, size_t length, const char *name)
{
	struct reader reader = {.at = at, .left = length, .has_escapes = true};

	while (reader.left > 0 && *name != '\0') {
		if (fold(next_byte(&reader)) != fold(*name++))
			return false;
	}
	return reader.left == 0 && *name == '\0';
}

/* Does the name end before `equals`, of a header that begins at `begin`? */
static bool is_named(const char *begin, const char *equals, const char *name)
{
	size_t longest = 3 * strlen(name);
	const char *end = equals, *at;

	while (end > begin && is_between(end[-1]) && !ends_pair(end[-1]))
		end--;
	for (at = end; at > begin && !is_between(at[-1]) && (size_t)(end - at) <= longest;)
		at--;
	return is_alike(at, (size_t)(end - at), name);
}

bool cookie_find_alike(struct cookie_search *search, const char *name, struct fcgi_text *value)
{
	const char *begin = search->at, *equals = begin, *end;

	/* Then there may be no text at all. */
	if (search->left == 0)
		return false;
	end = search->at + search->left;
	while (equals < end && (equals = memchr(equals, '=', (size_t)(end - equals))) != NULL) {
		bool is_found = is_named(begin, equals, name);
		const char *at = ++equals;

		if (!is_found)
			continue;
		while (at < end && is_between(*at) && !ends_pair(*at))
			at++;
		value->at = at;
		while (at < end && !is_between(*at))
			at++;
		value->length = (size_t)(at - value->at);
		search->at = at;
		search->left = (size_t)(end - at);
		return true;
	}
	return false;
}

struct fcgi_text cookie_up_to_semicolon(const struct cookie_search *search, struct fcgi_text value)
{
	const char *semicolon = memchr(search->at, ';', search->left);
	const char *end = semicolon != NULL ? semicolon : search->at + search->left;

	while (end > value.at && end[-1] <= ' ' && end[-1] >= 0)
		end--;
	if (end > value.at + value.length)
		value.length = (size_t)(end - value.at);
	return value;
}

/* ---- Values ------------------------------------------------------------------------------------------------- */

/* As encodeURIComponent() leaves it. */
static bool is_unreserved(char byte)
{
	return isalnum((unsigned char)byte) || (byte != '\0' && strchr("-_.!~*'()", byte) != NULL);
}

/* Then there is one way to write it. */
static bool is_plain(struct fcgi_text value)
{
	size_t i = 0;

	while (i < value.length && is_unreserved(value.at[i]))
		i++;
	return i == value.length;
}

struct writer {
	char *at;
	size_t left; /* for the NUL, too */
	bool fits;
};

static void put(struct writer *writer, char byte)
{
	writer->fits = writer->fits && writer->left > 1 && byte != '\0';
	if (!writer->fits)
		return;
	*writer->at++ = byte;
	writer->left--;
}

static void put_encoded(struct writer *writer, char byte)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char number = (unsigned char)byte;

	put(writer, '%');
	put(writer, digits[number / 16]);
	put(writer, digits[number % 16]);
}

bool cookie_spell(struct fcgi_text value, enum cookie_spelling spelling, char *out, size_t size)
{
	/* Some look at the first quote only, and leave out the last byte, whatever it is. */
	bool is_quoted = value.length >= 2 && value.at[0] == '"';
	bool has_quotes = is_quoted && spelling != SPELLED_AS_IT_STANDS && spelling != SPELLED_WHOLE;
	bool is_encoded = spelling == SPELLED_ENCODED || spelling == SPELLED_WHOLE;
	struct reader reader = {
		.at = value.at + has_quotes,
		.left = value.length - 2 * (size_t)has_quotes,
		.has_backslashes = has_quotes,
		.has_escapes = spelling == SPELLED_DECODED || is_encoded,
	};
	struct writer writer = {.at = out, .left = size, .fits = true};

	if ((spelling != SPELLED_AS_IT_STANDS && is_plain(value)) || (spelling == SPELLED_WHOLE && !is_quoted))
		return false;
	if (spelling == SPELLED_QUOTED)
		put(&writer, '"');
	while (reader.left > 0 && writer.fits) {
		char byte = next_byte(&reader);

		if (is_encoded && !is_unreserved(byte))
			put_encoded(&writer, byte);
		else
			put(&writer, byte);
	}
	if (spelling == SPELLED_QUOTED)
		put(&writer, '"');
	*writer.at = '\0';
	return writer.fits;
}
