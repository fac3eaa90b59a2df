/* Cookies (RFC 6265): finding them in a Cookie header. */
#include "http/cookie.h"

#include <string.h>

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t';
}

static void skip(struct cookie_search *search, size_t count)
{
	search->at += count;
	search->left -= count;
}

/* The next pair: up to a semicolon, without the space around it. Returns its length. */
static size_t next_pair(struct cookie_search *search, const char **pair)
{
	const char *end;
	size_t length;

	while (search->left > 0 && (is_space(*search->at) || *search->at == ';'))
		skip(search, 1);
	*pair = search->at;
	end = search->left > 0 ? memchr(search->at, ';', search->left) : NULL;
	length = end != NULL ? (size_t)(end - search->at) : search->left;
	skip(search, length);
	while (length > 0 && is_space((*pair)[length - 1]))
		length--;
	search->pairs++;
	return length;
}

bool cookie_find(struct cookie_search *search, const char *name, bool (*is_wanted)(const char *value), char *out,
                 size_t size)
{
	size_t name_length = strlen(name);

	while (search->left > 0 && search->pairs < COOKIE_PAIRS_MAX) {
		const char *pair;
		size_t length = next_pair(search, &pair);

		if (length <= name_length || memcmp(pair, name, name_length) != 0 || pair[name_length] != '=')
			continue;
		length -= name_length + 1;
		if (length >= size)
			continue;
		memcpy(out, pair + name_length + 1, length);
		out[length] = '\0';
		if (is_wanted == NULL || is_wanted(out))
			return true;
	}
	return false;
}
