/* Rows of modules' statements: their columns by name and type, and as JSON. */
#include "session/module_sql.h"

#include "base/log.h"
#include "base/rfc3339.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct ones_rows {
	struct ones_db *db;
	struct db_result *result;
	char label[SQL_LABEL_SIZE];
};

struct ones_rows *module_rows_new(struct ones_db *db, struct db_result *result, const char *sql)
{
	struct ones_rows *rows = talloc(db->ctx, struct ones_rows);

	if (rows == NULL)
		return NULL;
	rows->db = db;
	rows->result = talloc_steal(rows, result);
	(void)sql_label(sql, rows->label);
	return rows;
}

size_t ones_rows_count(const struct ones_rows *rows)
{
	return rows != NULL ? db_rows(rows->result) : 0;
}

/* The module's defect: the log says which, and what it does fails as a whole. */
static void misread(const struct ones_rows *rows, size_t row, const char *column, const char *problem)
{
	rows->db->has_misread = true;
	log_error("sql_misread", LOG_STR("problem", problem), LOG_STR("column", column), LOG_INT("row", (int64_t)row),
	          LOG_STR("sql", rows->label), LOG_STR("purpose", rows->db->purpose));
}

static bool find_column(const struct ones_rows *rows, size_t row, const char *name, size_t *found)
{
	size_t count = 0;

	if (rows == NULL)
		return false;
	for (size_t i = 0; i < db_columns(rows->result); i++) {
		if (strcmp(db_column_name(rows->result, i), name) == 0) {
			*found = i;
			count++;
		}
	}
	if (row >= db_rows(rows->result))
		misread(rows, row, name, "there is no such row");
	else if (count == 0)
		misread(rows, row, name, "there is no such column");
	else if (count > 1)
		misread(rows, row, name, "there are several columns of that name");
	else
		return true;
	return false;
}

/* The value as text, of a column of one of these types; NULL: SQL NULL, or misread. */
static const char *value_of(const struct ones_rows *rows, size_t row, const char *name, enum db_column_type type,
                            enum db_column_type other, const char *problem)
{
	enum db_column_type found;
	size_t column;

	if (!find_column(rows, row, name, &column))
		return NULL;
	found = db_column_type(rows->result, column);
	if (found == type || found == other)
		return db_as_text(rows->result, row, column);
	misread(rows, row, name, problem);
	return NULL;
}

const char *ones_text(const struct ones_rows *rows, size_t row, const char *column)
{
	size_t found;

	return find_column(rows, row, column, &found) ? db_as_text(rows->result, row, found) : NULL;
}

bool ones_is_null(const struct ones_rows *rows, size_t row, const char *column)
{
	return ones_text(rows, row, column) == NULL;
}

/* False when it has a fraction or more digits than a number has. */
static bool read_int(const char *text, int64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoimax(text, &end, 10);
	if (*end == '.')
		end += 1 + strspn(end + 1, "0");
	return errno == 0 && end != text && *end == '\0';
}

int64_t ones_int(const struct ones_rows *rows, size_t row, const char *column)
{
	const char *text = value_of(rows, row, column, DB_COLUMN_INT, DB_COLUMN_NUMERIC, "it is no integer");
	int64_t number;

	if (text == NULL)
		return 0;
	if (read_int(text, &number))
		return number;
	misread(rows, row, column, "it is no integer of 64 bits");
	return 0;
}

bool ones_bool(const struct ones_rows *rows, size_t row, const char *column)
{
	const char *text = value_of(rows, row, column, DB_COLUMN_BOOL, DB_COLUMN_BOOL, "it is no boolean");

	return text != NULL && text[0] == 't';
}

ones_time ones_time_at(const struct ones_rows *rows, size_t row, const char *column)
{
	const char *text = value_of(rows, row, column, DB_COLUMN_TIME, DB_COLUMN_TIME, "it is no timestamptz");
	ones_time when = 0;

	if (text != NULL && !sql_read_time(text, &when))
		misread(rows, row, column, "it is none of the years 1 to 294246, or DateStyle is not ISO");
	return when;
}

const void *ones_bytes(const struct ones_rows *rows, size_t row, const char *column, size_t *size)
{
	const char *text = value_of(rows, row, column, DB_COLUMN_BYTES, DB_COLUMN_BYTES, "it is no bytea");
	const void *bytes;

	*size = 0;
	if (text == NULL)
		return NULL;
	bytes = db_unescape(rows->db->ctx, text, size);
	if (bytes == NULL)
		misread(rows, row, column, "out of memory");
	return bytes;
}

/* ---- JSON --------------------------------------------------------------------------------------------------- */

static json_t *time_json(const char *text)
{
	char written[RFC3339_SIZE];
	ones_time when;

	if (!sql_read_time(text, &when))
		return json_string(text);
	return rfc3339_write(when, when % 1000000 != 0 ? 6 : 0, written) ? json_string(written) : json_null();
}

/* JSON has neither NaN nor infinity. */
static json_t *real_json(const char *text)
{
	json_t *number = json_real(strtod(text, NULL));

	return number != NULL ? number : json_null();
}

/*
 * PostgreSQL takes more for JSON than can be read here: integers of any size, 1e400, thousands of levels, half of a
 * surrogate pair. Who has stored such a value must not have broken all that shows it.
 */
static json_t *json_json(const char *text)
{
	const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
	json_error_t error;
	json_t *value = json_loads(text, flags, &error);

	if (value == NULL && json_error_code(&error) == json_error_numeric_overflow)
		value = json_loads(text, flags | JSON_DECODE_INT_AS_REAL, NULL);
	return value != NULL ? value : json_string(text);
}

/* A new reference; NULL: no memory, or nothing that JSON has. */
static json_t *value_json(enum db_column_type type, const char *text)
{
	int64_t number;

	if (text == NULL)
		return json_null();
	switch (type) {
	case DB_COLUMN_INT: return read_int(text, &number) ? json_integer(number) : NULL;
	case DB_COLUMN_REAL: return real_json(text);
	case DB_COLUMN_BOOL: return json_boolean(text[0] == 't');
	case DB_COLUMN_TIME: return time_json(text);
	case DB_COLUMN_JSON: return json_json(text);
	default: return json_string(text);
	}
}

static json_t *row_json(const struct ones_rows *rows, size_t row)
{
	json_t *object = json_object();

	for (size_t i = 0; object != NULL && i < db_columns(rows->result); i++) {
		const char *name = db_column_name(rows->result, i);
		json_t *value = value_json(db_column_type(rows->result, i), db_as_text(rows->result, row, i));
		const char *problem = NULL;

		if (json_object_get(object, name) != NULL)
			problem = "there are several columns of that name";
		else if (json_object_set(object, name, value) != 0)
			problem = "it cannot be told in JSON";
		json_decref(value);
		if (problem == NULL)
			continue;
		misread(rows, row, name, problem);
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *ones_rows_json(const struct ones_rows *rows)
{
	json_t *all = json_array();

	for (size_t i = 0; i < ones_rows_count(rows); i++) {
		if (json_array_append_new(all, row_json(rows, i)) != 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}
