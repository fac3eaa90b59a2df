/* The look-up of sessions by their keys. */
#include "session/session_lookup.h"

#include "session/rule_sql.h"

#include <stdlib.h>
#include <string.h>

#define CHECK_VALUES(rule, keys, callers, count)                                                                       \
	{                                                                                                              \
		DB_BYTES_LIST(keys, sizeof(struct session_key), count), DB_INT((rule)->policy.max_sessions),           \
			DB_INT((rule)->policy.idle_timeout),                                                           \
			DB_BYTES(callers, (callers) != NULL ? (count) * sizeof(struct session_key) : 0),               \
	}

static const struct db_statement *statement_for(bool has_callers)
{
	return has_callers ? &sql_check_called : &sql_check;
}

static size_t value_count(bool has_callers)
{
	return has_callers ? 4 : 3;
}

/* Takes over `rows`. */
static enum db_status make_lookup(TALLOC_CTX *ctx, struct db_result *rows, const struct session_key keys[],
                                  bool has_callers, size_t count, struct session_lookup **lookup)
{
	struct session_lookup *made = talloc(ctx, struct session_lookup);

	if (made == NULL) {
		talloc_free(rows);
		return DB_ERROR;
	}
	if (db_rows(rows) != count)
		abort();
	made->rows = talloc_steal(made, rows);
	made->has_callers = has_callers;
	memcpy(made->keys, keys, count * sizeof keys[0]);
	for (size_t row = 0; row < count; row++)
		made->row_of[db_int(rows, row, CHECK_NUMBER) - 1] = row;
	*lookup = made;
	return DB_OK;
}

enum db_status session_lookup(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key keys[],
                              const struct session_key callers[], size_t count, struct session_lookup **lookup)
{
	const struct db_value values[] = CHECK_VALUES(rule, keys, callers, count);
	bool has_callers = callers != NULL;
	struct db_result *rows;
	enum db_status status =
		db_query(rule->db, ctx, statement_for(has_callers), values, value_count(has_callers), &rows);

	return status == DB_OK ? make_lookup(ctx, rows, keys, has_callers, count, lookup) : status;
}

struct api_caller session_lookup_caller(const struct session_lookup *lookup, size_t which)
{
	return lookup->has_callers ? caller_from_row(lookup->rows, lookup->row_of[which], CHECK_COLUMNS)
	                           : (struct api_caller){0};
}

void session_lookup_start(const struct rule *rule, const struct session_key keys[], const struct session_key callers[],
                          size_t count)
{
	const struct db_value values[] = CHECK_VALUES(rule, keys, callers, count);

	db_start(rule->db, statement_for(callers != NULL), values, value_count(callers != NULL));
}

enum db_status session_lookup_finish(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key keys[],
                                     bool has_callers, size_t count, struct session_lookup **lookup)
{
	struct db_result *rows;
	enum db_status status = db_finish(rule->db, ctx, &rows);

	return status == DB_OK ? make_lookup(ctx, rows, keys, has_callers, count, lookup) : status;
}
