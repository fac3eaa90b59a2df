#include "http/cookie.h"

#include <string.h>

bool cookie_find(struct cookie_search *search, const char *name, bool (*is_wanted)(const char *value), char *out,
                 size_t size)
{
	size_t name_length = strlen(name);

	if (search->at == NULL)
		return false;
	for (; search->pairs < COOKIE_PAIRS_MAX && *search->at != '\0'; search->pairs++) {
		const char *pair = search->at + strspn(search->at, " \t;");
		size_t length = strcspn(pair, ";");
		const char *value = pair + name_length + 1;

		search->at = pair + length;
		if (length > name_length && strncmp(pair, name, name_length) == 0 && pair[name_length] == '=') {
			size_t value_length = length - name_length - 1;

			while (value_length > 0 && (value[value_length - 1] == ' ' || value[value_length - 1] == '\t'))
				value_length--;
			if (value_length < size) {
				memcpy(out, value, value_length);
				out[value_length] = '\0';
				if (is_wanted == NULL || is_wanted(out)) {
					search->pairs++;
					return true;
				}
			}
		}
	}
	return false;
}
