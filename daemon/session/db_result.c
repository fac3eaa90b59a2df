/* Rows and columns of an answer. */
#include "session/db_private.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* Microseconds from 1970-01-01 to 2000-01-01, where timestamptz counts from. */
#define POSTGRES_EPOCH_US INT64_C(946684800000000)

struct db_result {
	PGresult *pg;
};

static int result_destroy(struct db_result *result)
{
	PQclear(result->pg);
	return 0;
}

enum db_status db_take_result(struct db_connection *connection, TALLOC_CTX *ctx, PGresult *pg,
                              struct db_result **result)
{
	if (result == NULL) {
		PQclear(pg);
		return DB_OK;
	}
	*result = talloc(ctx, struct db_result);
	if (*result == NULL) {
		PQclear(pg);
		db_connection_set_problem(connection, "out of memory");
		return DB_ERROR;
	}
	(*result)->pg = pg;
	talloc_set_destructor(*result, result_destroy);
	return DB_OK;
}

size_t db_rows(const struct db_result *result)
{
	return (size_t)PQntuples(result->pg);
}

bool db_is_null(const struct db_result *result, size_t row, int column)
{
	return PQgetisnull(result->pg, (int)row, column) != 0;
}

static const char *value_of(const struct db_result *result, size_t row, int column, Oid type)
{
	if (PQftype(result->pg, column) != type || db_is_null(result, row, column))
		abort();
	return PQgetvalue(result->pg, (int)row, column);
}

int64_t db_int(const struct db_result *result, size_t row, int column)
{
	Oid type = PQftype(result->pg, column);
	const char *value = value_of(result, row, column, type);
	uint64_t wide;
	uint32_t word;
	uint16_t half;

	switch (type) {
	case OID_INT8: memcpy(&wide, value, sizeof wide); return (int64_t)be64toh(wide);
	case OID_INT4: memcpy(&word, value, sizeof word); return (int32_t)be32toh(word);
	case OID_INT2: memcpy(&half, value, sizeof half); return (int16_t)be16toh(half);
	default: abort();
	}
}

bool db_bool(const struct db_result *result, size_t row, int column)
{
	return *value_of(result, row, column, OID_BOOL) != 0;
}

int64_t db_time(const struct db_result *result, size_t row, int column)
{
	uint64_t wide;
	int64_t since_2000;

	memcpy(&wide, value_of(result, row, column, OID_TIMESTAMPTZ), sizeof wide);
	since_2000 = (int64_t)be64toh(wide);
	/* 'infinity' and its opposite are the ends of the range. */
	if (since_2000 > INT64_MAX - POSTGRES_EPOCH_US)
		return INT64_MAX;
	return since_2000 == INT64_MIN ? INT64_MIN : since_2000 + POSTGRES_EPOCH_US;
}

int64_t db_time_or_never(const struct db_result *result, size_t row, int column)
{
	return db_is_null(result, row, column) ? 0 : db_time(result, row, column);
}

const char *db_text(const struct db_result *result, size_t row, int column)
{
	return db_is_null(result, row, column) ? NULL : value_of(result, row, column, OID_TEXT);
}

const uint8_t *db_bytes(const struct db_result *result, size_t row, int column, size_t *size)
{
	*size = 0;
	if (db_is_null(result, row, column))
		return NULL;
	*size = (size_t)PQgetlength(result->pg, (int)row, column);
	return (const uint8_t *)value_of(result, row, column, OID_BYTEA);
}

/* ---- Rows of db_run_text() ---------------------------------------------------------------------------------- */

size_t db_columns(const struct db_result *result)
{
	return (size_t)PQnfields(result->pg);
}

const char *db_column_name(const struct db_result *result, size_t column)
{
	return PQfname(result->pg, (int)column);
}

enum db_column_type db_column_type(const struct db_result *result, size_t column)
{
	switch (PQftype(result->pg, (int)column)) {
	case OID_INT8:
	case OID_INT4:
	case OID_INT2: return DB_COLUMN_INT;
	case OID_FLOAT4:
	case OID_FLOAT8: return DB_COLUMN_REAL;
	case OID_NUMERIC: return DB_COLUMN_NUMERIC;
	case OID_BOOL: return DB_COLUMN_BOOL;
	case OID_BYTEA: return DB_COLUMN_BYTES;
	case OID_TIMESTAMPTZ: return DB_COLUMN_TIME;
	case OID_JSON:
	case OID_JSONB: return DB_COLUMN_JSON;
	default: return DB_COLUMN_OTHER;
	}
}

const char *db_as_text(const struct db_result *result, size_t row, size_t column)
{
	return db_is_null(result, row, (int)column) ? NULL : PQgetvalue(result->pg, (int)row, (int)column);
}

uint8_t *db_unescape(TALLOC_CTX *ctx, const char *text, size_t *size)
{
	unsigned char *plain = PQunescapeBytea((const unsigned char *)text, size);
	/* One byte for an empty one: NULL is no memory. */
	uint8_t *copy = plain != NULL ? talloc_memdup(ctx, plain, *size + 1) : NULL;

	PQfreemem(plain);
	return copy;
}
