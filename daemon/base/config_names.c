/* The sections and keys that there are, by their likeness to one that there is not. */
#include "base/config_names.h"

#include <string.h>

static size_t smallest(size_t one, size_t other)
{
	return one < other ? one : other;
}

/* How many letters have to be changed, added or left out (Levenshtein); for short names. */
static size_t distance(const char *one, const char *other)
{
	size_t row[64];
	size_t width = strlen(other);

	if (width + 1 > sizeof row / sizeof row[0])
		return SIZE_MAX;
	for (size_t i = 0; i <= width; i++)
		row[i] = i;
	for (size_t y = 1; one[y - 1] != '\0'; y++) {
		size_t diagonal = row[0];

		row[0] = y;
		for (size_t x = 1; x <= width; x++) {
			size_t above = row[x];

			row[x] = smallest(smallest(above, row[x - 1]) + 1, diagonal + (one[y - 1] != other[x - 1]));
			diagonal = above;
		}
	}
	return row[width];
}

const char *config_names_section(const char *section, const char *const others[], size_t count)
{
	const char *nearest = NULL;
	size_t least = 3;

	for (size_t i = 0; i < options_count + count; i++) {
		const char *name = i < options_count ? options[i].section : others[i - options_count];
		size_t away = distance(section, name);

		if (away < least && away < strlen(section)) {
			least = away;
			nearest = name;
		}
	}
	return nearest;
}

const struct option *config_names_option(const char *section, const char *key)
{
	const struct option *nearest = NULL;
	size_t least = 3;

	for (size_t i = 0; i < options_count; i++) {
		size_t away = distance(key, options[i].key);

		/* Of a short name nothing would be left. */
		if (away >= strlen(key))
			continue;
		away += strcmp(section, options[i].section) != 0;
		if (away < least) {
			least = away;
			nearest = &options[i];
		}
	}
	return nearest;
}
