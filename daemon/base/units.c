#include "base/units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit durations[] = {
	{"d", INT64_C(86400000)}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static const struct unit sizes[] = {
	{"GiB", INT64_C(1) << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1},
};

/* Digits at the beginning of `text`; *rest is what follows them. */
static bool parse_digits(const char *text, int64_t *number, const char **rest)
{
	int64_t value = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *at - '0', &value))
			return false;
	}
	*number = value;
	*rest = at;
	return at > text;
}

static int parse_with_unit(const char *text, const struct unit *units, size_t count, int64_t *result)
{
	const char *name;
	int64_t number;

	if (!parse_digits(text, &number, &name))
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(units[i].name, name) == 0)
			return __builtin_mul_overflow(number, units[i].factor, result) ? -1 : 0;
	}
	return -1;
}

int units_parse_number(const char *text, int64_t *number)
{
	const char *rest;
	int64_t value;

	if (!parse_digits(text, &value, &rest) || *rest != '\0')
		return -1;
	*number = value;
	return 0;
}

int units_parse_duration(const char *text, int64_t *milliseconds)
{
	int64_t value;

	if (strcmp(text, "0") == 0)
		value = 0;
	else if (parse_with_unit(text, durations, sizeof durations / sizeof durations[0], &value) != 0)
		return -1;
	*milliseconds = value;
	return 0;
}

int units_parse_size(const char *text, int64_t *bytes)
{
	int64_t value;

	if (parse_with_unit(text, sizes, sizeof sizes / sizeof sizes[0], &value) != 0)
		return -1;
	*bytes = value;
	return 0;
}

static char *format(int64_t value, const struct unit *units, char *buffer, size_t size)
{
	const struct unit *unit = units;

	/* The last unit is one, so this ends. */
	while (value % unit->factor != 0)
		unit++;
	(void)snprintf(buffer, size, "%" PRId64 "%s", value / unit->factor, value == 0 ? "" : unit->name);
	return buffer;
}

char *units_format_duration(int64_t milliseconds, char *buffer, size_t size)
{
	return format(milliseconds, durations, buffer, size);
}

char *units_format_size(int64_t bytes, char *buffer, size_t size)
{
	return format(bytes, sizes, buffer, size);
}
