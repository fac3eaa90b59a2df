/* The look-up of sessions by their keys. */
#include "session/session_lookup.h"

#include "session/rule_sql.h"

#include <stdlib.h>
#include <string.h>

#define CHECK_VALUES(rule, keys, count)                                                                                \
	{                                                                                                              \
		DB_BYTES_LIST(keys, sizeof(struct session_key), count), DB_INT((rule)->policy.max_sessions),           \
			DB_INT((rule)->policy.idle_timeout),                                                           \
	}
#define CHECK_VALUE_COUNT 3

/* Takes over `rows`. */
static enum db_status make_lookup(TALLOC_CTX *ctx, struct db_result *rows, const struct session_key keys[],
                                  size_t count, struct session_lookup **lookup)
{
	struct session_lookup *made = talloc(ctx, struct session_lookup);

	if (made == NULL) {
		talloc_free(rows);
		return DB_ERROR;
	}
	if (db_rows(rows) != count)
		abort();
	made->rows = talloc_steal(made, rows);
	memcpy(made->keys, keys, count * sizeof keys[0]);
	for (size_t row = 0; row < count; row++)
		made->row_of[db_int(rows, row, CHECK_NUMBER) - 1] = row;
	*lookup = made;
	return DB_OK;
}

enum db_status session_lookup(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key keys[], size_t count,
                              struct session_lookup **lookup)
{
	const struct db_value values[] = CHECK_VALUES(rule, keys, count);
	struct db_result *rows;
	enum db_status status = db_query(rule->db, ctx, &sql_check, values, CHECK_VALUE_COUNT, &rows);

	return status == DB_OK ? make_lookup(ctx, rows, keys, count, lookup) : status;
}

void session_lookup_start(const struct rule *rule, const struct session_key keys[], size_t count)
{
	const struct db_value values[] = CHECK_VALUES(rule, keys, count);

	db_start(rule->db, &sql_check, values, CHECK_VALUE_COUNT);
}

enum db_status session_lookup_finish(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key keys[],
                                     size_t count, struct session_lookup **lookup)
{
	struct db_result *rows;
	enum db_status status = db_finish(rule->db, ctx, &rows);

	return status == DB_OK ? make_lookup(ctx, rows, keys, count, lookup) : status;
}
