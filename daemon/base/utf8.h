/* UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing past U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The size of the valid sequence that `text` begins with, 0 when there is none or the string has ended. */
size_t utf8_sequence(const char *text);

/* Likewise; *character is its code point, and stays as it was when the size is 0. */
size_t utf8_character(const char *text, uint32_t *character);

bool utf8_is_valid(const char *text);

/* A control character of ASCII: C0 and DEL. No header field, path or line of text has one. */
bool utf8_is_ascii_control(char byte);

/* One of these, or of C1 (U+0080 to U+009F), which terminals obey as well. */
bool utf8_is_control(uint32_t character);

/*
 * Is nothing seen of it where it stands, though it is no white space? Characters that join, hide, reverse or tag what
 * is around them, and U+2800, which is drawn, as nothing.
 */
bool utf8_is_invisible(uint32_t character);

/* Is it UTF-8 without control characters? */
bool utf8_is_printable(const char *text);

/* Copy `text` to out[size], at most size - 1 bytes, with '?' for control characters and for what is not UTF-8. */
void utf8_clean(const char *text, char *out, size_t size);

#endif
