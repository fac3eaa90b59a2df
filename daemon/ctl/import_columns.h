/* Which column of a file of comma-separated values is what of an account. */
#ifndef CTL_IMPORT_COLUMNS_H
#define CTL_IMPORT_COLUMNS_H

#include "ctl/csv.h"

enum import_column {
	COLUMN_USERNAME,
	COLUMN_EMAIL,
	COLUMN_EMAIL_VERIFIED,
	COLUMN_PASSWORD_HASH,
	COLUMN_PLAN,
	COLUMN_GROUPS,
	COLUMN_SESSION_LIMIT,
	COLUMN_VALID_UNTIL,
	COLUMN_IS_ACTIVE,
	COLUMN_EXTERNAL_ID,
	COLUMN_COUNT,
	COLUMN_IGNORED = COLUMN_COUNT,
};

struct import_columns {
	enum import_column of[CSV_FIELDS_MAX];
	size_t count;
};

/* What the column is called in a header, and in messages. */
const char *import_column_name(enum import_column column);

/*
 * By the header that was read. `map` is "THEIRS=OURS,..." or NULL, `ignore` "THEIRS,..." or NULL. NULL, or what is
 * wrong, on `ctx`.
 */
const char *import_columns_find(TALLOC_CTX *ctx, const struct csv *header, const char *map, const char *ignore,
                                struct import_columns *columns);

#endif
