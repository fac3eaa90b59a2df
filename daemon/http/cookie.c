#include "http/cookie.h"

#include <string.h>

bool cookie_find(const char *header, const char *name, bool (*is_wanted)(const char *value), char *out, size_t size)
{
	size_t name_length = strlen(name);

	if (header == NULL)
		return false;
	for (int i = 0; i < COOKIE_PAIRS_MAX && *header != '\0'; i++) {
		const char *value;
		size_t length;

		header += strspn(header, " \t;");
		length = strcspn(header, ";");
		value = header + name_length + 1;
		if (length > name_length && strncmp(header, name, name_length) == 0 && header[name_length] == '=') {
			size_t value_length = length - name_length - 1;

			while (value_length > 0 && (value[value_length - 1] == ' ' || value[value_length - 1] == '\t'))
				value_length--;
			if (value_length < size) {
				memcpy(out, value, value_length);
				out[value_length] = '\0';
				if (is_wanted == NULL || is_wanted(out))
					return true;
			}
		}
		header += length;
	}
	return false;
}
