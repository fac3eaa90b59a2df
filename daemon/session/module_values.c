/* What modules' SQL is given and gives: values and moments as text. */
#include "session/module_sql.h"

#include "base/rfc3339.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- Values ------------------------------------------------------------------------------------------------- */

/* As bytea reads it. */
static char *hexadecimal(TALLOC_CTX *ctx, const uint8_t *bytes, size_t size)
{
	char *text = talloc_array(ctx, char, (unsigned)(2 * size + 3));

	if (text == NULL)
		return NULL;
	text[0] = '\\';
	text[1] = 'x';
	(void)sodium_bin2hex(text + 2, 2 * size + 1, bytes, size);
	return text;
}

/* What cannot be written becomes a text that is no moment, which the server refuses as it does other values. */
static char *moment(TALLOC_CTX *ctx, ones_time when)
{
	char text[RFC3339_SIZE];

	if (when == INT64_MAX)
		return talloc_strdup(ctx, "infinity");
	if (when == INT64_MIN)
		return talloc_strdup(ctx, "-infinity");
	return rfc3339_write(when, 6, text) ? talloc_strdup(ctx, text)
	                                    : talloc_asprintf(ctx, "%lld us", (long long)when);
}

/* *is_null: it is SQL NULL. NULL otherwise: no memory. */
static const char *as_text(TALLOC_CTX *ctx, const struct ones_value *value, bool *is_null)
{
	*is_null = false;
	switch (value->type) {
	case ONES_VALUE_INT: return talloc_asprintf(ctx, "%lld", (long long)value->number);
	case ONES_VALUE_BOOL: return value->number != 0 ? "t" : "f";
	case ONES_VALUE_TIME: *is_null = value->number == 0; return *is_null ? NULL : moment(ctx, value->number);
	case ONES_VALUE_TEXT: *is_null = value->data == NULL; return value->data;
	case ONES_VALUE_BYTES:
		*is_null = value->data == NULL;
		return *is_null ? NULL : hexadecimal(ctx, value->data, value->size);
	default: *is_null = true; return NULL;
	}
}

const char **sql_values_as_text(TALLOC_CTX *ctx, const struct ones_value values[], size_t count)
{
	const char **texts = talloc_array(ctx, const char *, (unsigned)count + 1);
	bool is_null;

	for (size_t i = 0; texts != NULL && i < count; i++) {
		texts[i] = as_text(texts, &values[i], &is_null);
		if (texts[i] == NULL && !is_null) {
			talloc_free(texts);
			return NULL;
		}
	}
	return texts;
}

/* ---- Moments ------------------------------------------------------------------------------------------------ */

/* "+02", "-03:30", "+00:19:32": seconds east of Greenwich. Returns what is behind it, NULL: it is none. */
static const char *read_zone(const char *text, int64_t *east)
{
	int hours, minutes = 0, seconds = 0, size = 0;
	const char sign = *text;

	if ((sign != '+' && sign != '-') || sscanf(text + 1, "%2d%n", &hours, &size) != 1)
		return NULL;
	text += 1 + size;
	if (sscanf(text, ":%2d%n", &minutes, &size) == 1) {
		text += size;
		if (sscanf(text, ":%2d%n", &seconds, &size) == 1)
			text += size;
	}
	*east = (hours * 60 + minutes) * 60 + seconds;
	if (sign == '-')
		*east = -*east;
	return text;
}

/* In any zone: see RFC3339_END. */
#define YEAR_MAX 294246

bool sql_read_time(const char *text, ones_time *when)
{
	struct tm at = {0};
	int64_t fraction = 0, east;
	int size = 0;

	if (strcmp(text, "infinity") == 0 || strcmp(text, "-infinity") == 0) {
		*when = text[0] == '-' ? INT64_MIN : INT64_MAX;
		return true;
	}
	if (sscanf(text, "%7d-%2d-%2d %2d:%2d:%2d%n", &at.tm_year, &at.tm_mon, &at.tm_mday, &at.tm_hour, &at.tm_min,
	           &at.tm_sec, &size) != 6)
		return false;
	text += size;
	if (*text == '.') {
		int64_t unit = 100000;

		for (text++; isdigit((unsigned char)*text); text++, unit /= 10)
			fraction += (*text - '0') * unit;
	}
	text = read_zone(text, &east);
	/* " BC" among what may follow; the last years of PostgreSQL are more than 64 bits have. */
	if (text == NULL || *text != '\0' || at.tm_year > YEAR_MAX)
		return false;
	at.tm_year -= 1900;
	at.tm_mon--;
	*when = ((int64_t)timegm(&at) - east) * 1000000 + fraction;
	return *when >= RFC3339_FIRST && *when < RFC3339_END;
}
