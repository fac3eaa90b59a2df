/* Text in a message. */
#include "mail/encoding.h"

#include "base/utf8.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_WANTED 76
/* A word that is longer than that is not left as it is, although it could be in one line. */
#define WORD_MAX 200
/* Bytes of text in an encoded word: "=?UTF-8?B?", 60 characters and "?=" are less than the 75 that one may have. */
#define CHUNK_MAX 45

void mail_text_init(struct mail_text *text, TALLOC_CTX *ctx)
{
	*text = (struct mail_text){.room = 4096};
	text->bytes = talloc_size(ctx, text->room);
	text->has_failed = text->bytes == NULL;
}

void mail_text_put(struct mail_text *text, const char *bytes, size_t size)
{
	if (!text->has_failed && size >= text->room - text->used) {
		size_t room = 2 * text->room + size;
		char *grown = talloc_realloc_size(NULL, text->bytes, room);

		text->has_failed = grown == NULL;
		if (grown != NULL) {
			text->bytes = grown;
			text->room = room;
		}
	}
	if (text->has_failed)
		return;
	memcpy(text->bytes + text->used, bytes, size);
	text->used += size;
	text->bytes[text->used] = '\0';
}

void mail_text_say(struct mail_text *text, const char *string)
{
	mail_text_put(text, string, strlen(string));
}

/* ---- Header fields ------------------------------------------------------------------------------------------- */

static bool is_ascii_text(char byte)
{
	return byte >= 0x20 && byte < 0x7f;
}

/* Can it stand there as it is? What looks like an encoded word would be decoded. */
static bool is_plain(const char *value)
{
	size_t word = 0;

	for (const char *at = value; *at != '\0'; at++) {
		word = *at == ' ' ? 0 : word + 1;
		if (!is_ascii_text(*at) || word > WORD_MAX)
			return false;
	}
	return strstr(value, "=?") == NULL;
}

/* Words with single spaces between them, folded (RFC 5322, 2.2.3). `column` is how long the line is already. */
static void put_words(struct mail_text *text, const char *value, size_t column)
{
	bool is_first = true;

	while (*(value += strspn(value, " ")) != '\0') {
		size_t length = strcspn(value, " ");

		if (!is_first && column + 1 + length > LINE_MAX_WANTED) {
			mail_text_say(text, "\r\n ");
			column = 1;
		} else if (!is_first) {
			mail_text_say(text, " ");
			column++;
		}
		mail_text_put(text, value, length);
		column += length;
		value += length;
		is_first = false;
	}
}

/* As many whole characters as an encoded word has room for. */
static size_t chunk_of(const char *value)
{
	size_t size = 0, next;

	while ((next = utf8_sequence(value + size)) > 0 && size + next <= CHUNK_MAX)
		size += next;
	return size;
}

static void put_encoded(struct mail_text *text, const char *value)
{
	char word[sodium_base64_ENCODED_LEN(CHUNK_MAX, sodium_base64_VARIANT_ORIGINAL)];
	bool is_first = true;
	size_t size;

	/* Between two encoded words the space is none of the text. */
	while ((size = chunk_of(value)) > 0) {
		(void)sodium_bin2base64(word, sizeof word, (const unsigned char *)value, size,
		                        sodium_base64_VARIANT_ORIGINAL);
		mail_text_say(text, is_first ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?");
		mail_text_say(text, word);
		mail_text_say(text, "?=");
		value += size;
		is_first = false;
	}
}

/* A copy without control characters and without what is not UTF-8, on `text`'s memory. NULL when out of memory. */
static char *cleaned(struct mail_text *text, const char *value)
{
	size_t size = 4 * strlen(value) + 1;
	char *copy = talloc_size(text->bytes, size);

	text->has_failed = text->has_failed || copy == NULL;
	if (copy == NULL)
		return NULL;
	utf8_clean(value, copy, size);
	return copy;
}

void mail_text_field(struct mail_text *text, const char *name, const char *value)
{
	char *copy = text->has_failed ? NULL : cleaned(text, value);

	if (copy == NULL)
		return;
	mail_text_say(text, name);
	mail_text_say(text, ": ");
	if (is_plain(copy))
		put_words(text, copy, strlen(name) + 2);
	else
		put_encoded(text, copy);
	mail_text_say(text, "\r\n");
	talloc_free(copy);
}

/* A quoted string (RFC 5322, 3.2.4). */
static void put_quoted(struct mail_text *text, const char *value)
{
	mail_text_say(text, "\"");
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			mail_text_say(text, "\\");
		mail_text_put(text, value, 1);
	}
	mail_text_say(text, "\"");
}

void mail_text_mailbox(struct mail_text *text, const char *name, const char *display, const char *address)
{
	char *copy = text->has_failed ? NULL : cleaned(text, display);
	char *mailbox = copy != NULL ? cleaned(text, address) : NULL;

	if (mailbox == NULL)
		return;
	mail_text_say(text, name);
	mail_text_say(text, ": ");
	if (copy[0] == '\0') {
		mail_text_say(text, mailbox);
	} else {
		if (is_plain(copy))
			put_quoted(text, copy);
		else
			put_encoded(text, copy);
		mail_text_say(text, strlen(copy) + strlen(mailbox) < LINE_MAX_WANTED / 2 ? " <" : "\r\n <");
		mail_text_say(text, mailbox);
		mail_text_say(text, ">");
	}
	mail_text_say(text, "\r\n");
	talloc_free(copy);
	talloc_free(mailbox);
}

/* ---- Bodies -------------------------------------------------------------------------------------------------- */

static bool ends_line(const char *at)
{
	return *at == '\0' || *at == '\n' || (*at == '\r' && at[1] == '\n');
}

/*
 * What stands for a byte: itself, or three characters. Space is kept but at a line's end, where it would get lost; a
 * dot at its beginning, and "From ", mean something else to those who pass mail on.
 */
static size_t put_byte(char piece[4], const char *at, size_t column)
{
	unsigned char byte = (unsigned char)*at;
	bool is_itself = (is_ascii_text(*at) || byte == '\t') && byte != '=';

	if ((byte == ' ' || byte == '\t') && ends_line(at + 1))
		is_itself = false;
	if (column == 0 && (byte == '.' || strncmp(at, "From ", 5) == 0))
		is_itself = false;
	if (is_itself) {
		piece[0] = *at;
		return 1;
	}
	return (size_t)snprintf(piece, 4, "=%02X", byte);
}

void mail_text_quoted_printable(struct mail_text *text, const char *body)
{
	size_t column = 0;

	while (*body != '\0') {
		char piece[4];
		size_t size;

		if (ends_line(body)) {
			mail_text_say(text, "\r\n");
			body += *body == '\r' ? 2 : 1;
			column = 0;
			continue;
		}
		size = put_byte(piece, body, column);
		if (column + size > LINE_MAX_WANTED - 1) {
			mail_text_say(text, "=\r\n");
			column = 0;
			size = put_byte(piece, body, column);
		}
		mail_text_put(text, piece, size);
		column += size;
		body++;
	}
	if (column > 0)
		mail_text_say(text, "\r\n");
}
