/* Languages by their tags (RFC 5646). */
#ifndef HTTP_LANGUAGE_H
#define HTTP_LANGUAGE_H

#include <stdbool.h>
#include <stddef.h>

/* "zh-Hans-CN", and with room for all that are registered. */
#define LANGUAGE_TAG_SIZE 36

/* Has it the form of one: subtags of one to eight letters and digits, of which the first is of letters? */
bool language_is_tag(const char *text);

/*
 * The one of `tags` that suits those who ask for `range`, of `length` characters: that tag itself ("de" for "de"), or
 * one that begins with it ("zh-Hans" for "zh"); else what suits a shorter range ("de" for "de-CH"; RFC 4647, 3.4 and
 * 3.3.1). `count` when there is none.
 */
size_t language_find(const char *range, size_t length, const char *const tags[], size_t count);

#endif
