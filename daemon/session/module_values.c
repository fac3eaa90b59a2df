/* What modules' SQL is given and what may be told of it: statements, values, moments as text. */
#include "session/module_sql.h"

#include "base/rfc3339.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* ---- Statements --------------------------------------------------------------------------------------------- */

/* Behind a comment as C has them, which can stand in each other in SQL; NULL: it does not end. */
static const char *after_comment(const char *at)
{
	size_t depth = 0;

	do {
		if (*at == '\0')
			return NULL;
		if (strncmp(at, "/*", 2) == 0) {
			depth++;
			at += 2;
		} else if (strncmp(at, "*/", 2) == 0) {
			depth--;
			at += 2;
		} else {
			at++;
		}
	} while (depth > 0);
	return at;
}

/* The first word, behind spaces, comments and parentheses. */
static const char *first_word(const char *sql)
{
	for (;;) {
		sql += strspn(sql, " \t\r\n\f\v(");
		if (strncmp(sql, "--", 2) == 0)
			sql += strcspn(sql, "\r\n");
		else if (strncmp(sql, "/*", 2) == 0)
			sql = after_comment(sql);
		else
			return sql;
		if (sql == NULL)
			return "";
	}
}

bool sql_is_allowed(const char *sql)
{
	static const char *const words[] = {"select", "insert", "update", "delete", "merge",
	                                    "with",   "values", "table",  "lock",   "notify"};
	const char *word = first_word(sql);
	size_t length = 0;

	while (isalnum((unsigned char)word[length]) || word[length] == '_')
		length++;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strlen(words[i]) == length && strncasecmp(words[i], word, length) == 0)
			return true;
	}
	return false;
}

const char *sql_label(const char *sql, char label[SQL_LABEL_SIZE])
{
	size_t used = 0;

	for (; *sql != '\0' && *sql != '\'' && used < SQL_LABEL_SIZE - 4; sql++) {
		if (!isspace((unsigned char)*sql))
			label[used++] = *sql;
		else if (used > 0 && label[used - 1] != ' ')
			label[used++] = ' ';
	}
	while (used > 0 && label[used - 1] == ' ')
		used--;
	(void)snprintf(label + used, SQL_LABEL_SIZE - used, "%s", *sql != '\0' ? "..." : "");
	return label;
}

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

/* 0 is "not known": NULL. */
static char *moment(TALLOC_CTX *ctx, ones_time when)
{
	char text[RFC3339_SIZE];

	if (when == INT64_MAX)
		return talloc_strdup(ctx, "infinity");
	if (when == INT64_MIN)
		return talloc_strdup(ctx, "-infinity");
	return rfc3339_write(when, 6, text) ? talloc_strdup(ctx, text) : NULL;
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

/* Days from 1970-01-01 to that day of the Gregorian calendar; the year 0 is 1 BC. */
static int64_t days_since_1970(int64_t year, int64_t month, int64_t day)
{
	int64_t shifted = month <= 2 ? year - 1 : year;
	int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
	int64_t of_era = shifted - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
}

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

bool sql_read_time(const char *text, ones_time *when)
{
	int year, month, day, hour, minute, second, size = 0;
	int64_t fraction = 0, east;

	if (strcmp(text, "infinity") == 0 || strcmp(text, "-infinity") == 0) {
		*when = text[0] == '-' ? INT64_MIN : INT64_MAX;
		return true;
	}
	if (sscanf(text, "%7d-%2d-%2d %2d:%2d:%2d%n", &year, &month, &day, &hour, &minute, &second, &size) != 6)
		return false;
	text += size;
	if (*text == '.') {
		int64_t unit = 100000;

		for (text++; isdigit((unsigned char)*text); text++, unit /= 10)
			fraction += (*text - '0') * unit;
	}
	text = read_zone(text, &east);
	if (text == NULL || (*text != '\0' && strcmp(text, " BC") != 0))
		return false;
	if (*text != '\0')
		year = 1 - year;
	*when = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - east;
	*when = *when * 1000000 + fraction;
	return true;
}
