/* The columns of a file of comma-separated values: found by its header, and by what the operator says of it. */
#include "ctl/import_columns.h"

#include "base/utf8.h"

#include <string.h>

/* The first name of each is the one that is told. */
static const struct {
	const char *name;
	enum import_column column;
} known[] = {
	{"username", COLUMN_USERNAME},
	{"email", COLUMN_EMAIL},
	{"email_verified", COLUMN_EMAIL_VERIFIED},
	{"password_hash", COLUMN_PASSWORD_HASH},
	{"plan", COLUMN_PLAN},
	{"groups", COLUMN_GROUPS},
	{"session_limit", COLUMN_SESSION_LIMIT},
	{"valid_until", COLUMN_VALID_UNTIL},
	{"is_active", COLUMN_IS_ACTIVE},
	{"external_id", COLUMN_EXTERNAL_ID},
	{"name", COLUMN_USERNAME},
	/* Passwords in plain text are refused, each by its line. */
	{"password", COLUMN_PASSWORD_HASH},
};

#define KNOWN_COUNT (sizeof known / sizeof known[0])
#define TOLD                                                                                                           \
	"known are username (or name), email, email_verified, password_hash (or password), plan, groups, "             \
	"session_limit, valid_until, is_active and external_id"

const char *import_column_name(enum import_column column)
{
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		if (known[i].column == column)
			return known[i].name;
	}
	return "?";
}

/* "Password Hash" is password_hash. On `ctx`; NULL when out of memory. */
static char *plain_name(TALLOC_CTX *ctx, const char *name, size_t length)
{
	char *plain;

	for (; length > 0 && name[0] == ' '; length--)
		name++;
	while (length > 0 && name[length - 1] == ' ')
		length--;
	plain = talloc_strndup(ctx, name, length);
	for (char *at = plain; at != NULL && *at != '\0'; at++) {
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
		else if (*at == ' ' || *at == '-')
			*at = '_';
	}
	return plain;
}

/* COLUMN_COUNT when there is none of that name. */
static enum import_column find_known(const char *name)
{
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		if (strcmp(known[i].name, name) == 0)
			return known[i].column;
	}
	return COLUMN_COUNT;
}

/* The number of the column that the header calls so; `count` when it calls none so. */
static size_t find_in_header(TALLOC_CTX *ctx, const struct csv *header, const char *name, size_t length)
{
	const char *wanted = plain_name(ctx, name, length);

	for (size_t i = 0; i < header->field_count; i++) {
		const char *text = header->fields[i].text;
		const char *plain = plain_name(ctx, text, strlen(text));

		if (wanted != NULL && plain != NULL && strcmp(plain, wanted) == 0)
			return i;
	}
	return header->field_count;
}

static const char *none_of_that_name(TALLOC_CTX *ctx, const char *option, const char *name, size_t length)
{
	return talloc_asprintf(ctx, "%s names the column %.*s, and the header has none of that name", option,
	                       (int)length, name);
}

/* "THEIRS=OURS,..." */
static const char *take_map(TALLOC_CTX *ctx, const struct csv *header, const char *map, bool is_said[CSV_FIELDS_MAX],
                            struct import_columns *columns)
{
	while (map != NULL && *map != '\0') {
		size_t length = strcspn(map, ","), theirs_length = strcspn(map, "=,"), i;
		const char *ours;

		if (map[theirs_length] != '=')
			return talloc_asprintf(ctx, "--map is THEIRS=OURS, separated by commas: there is no = in %.*s",
			                       (int)length, map);
		i = find_in_header(ctx, header, map, theirs_length);
		ours = plain_name(ctx, map + theirs_length + 1, length - theirs_length - 1);
		if (i == header->field_count)
			return none_of_that_name(ctx, "--map", map, theirs_length);
		if (ours == NULL || find_known(ours) == COLUMN_COUNT)
			return talloc_asprintf(ctx, "--map says that %.*s is %s, which is not known: " TOLD,
			                       (int)theirs_length, map, ours != NULL ? ours : "?");
		columns->of[i] = find_known(ours);
		is_said[i] = true;
		map += length + (map[length] == ',');
	}
	return NULL;
}

static const char *take_ignore(TALLOC_CTX *ctx, const struct csv *header, const char *ignore,
                               bool is_said[CSV_FIELDS_MAX], struct import_columns *columns)
{
	while (ignore != NULL && *ignore != '\0') {
		size_t length = strcspn(ignore, ",");
		size_t i = find_in_header(ctx, header, ignore, length);

		if (i == header->field_count)
			return none_of_that_name(ctx, "--ignore", ignore, length);
		columns->of[i] = COLUMN_IGNORED;
		is_said[i] = true;
		ignore += length + (ignore[length] == ',');
	}
	return NULL;
}

static const char *take_header(TALLOC_CTX *ctx, const struct csv *header, const bool is_said[CSV_FIELDS_MAX],
                               struct import_columns *columns)
{
	for (size_t i = 0; i < header->field_count; i++) {
		const char *text = header->fields[i].text;
		const char *plain = plain_name(ctx, text, strlen(text));

		if (is_said[i])
			continue;
		if (!utf8_is_valid(text))
			return "the header is not UTF-8";
		columns->of[i] = plain != NULL ? find_known(plain) : COLUMN_COUNT;
		if (columns->of[i] == COLUMN_COUNT)
			return talloc_asprintf(ctx,
			                       "the column \"%s\" is not known: " TOLD
			                       "; --map \"%s=username\" says what it is, --ignore \"%s\" leaves it out",
			                       text, text, text);
	}
	return NULL;
}

const char *import_columns_find(TALLOC_CTX *ctx, const struct csv *header, const char *map, const char *ignore,
                                struct import_columns *columns)
{
	bool is_said[CSV_FIELDS_MAX] = {false}, has[COLUMN_COUNT] = {false};
	const char *problem = take_map(ctx, header, map, is_said, columns);

	columns->count = header->field_count;
	if (problem == NULL)
		problem = take_ignore(ctx, header, ignore, is_said, columns);
	if (problem == NULL)
		problem = take_header(ctx, header, is_said, columns);
	if (problem != NULL)
		return problem;
	for (size_t i = 0; i < columns->count; i++) {
		enum import_column column = columns->of[i];

		if (column == COLUMN_IGNORED)
			continue;
		if (has[column])
			return talloc_asprintf(ctx, "there are two columns for %s", import_column_name(column));
		has[column] = true;
	}
	return has[COLUMN_USERNAME] ? NULL : "there is no column username (or name)";
}
