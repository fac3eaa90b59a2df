#include "ctl/csv.h"
#include "ctl/import_columns.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* What a record is in one line: "a|b"; "-" is nothing at all. What is wrong with it: "?". The end of all: "!". */
static void write_record(const struct csv *csv, enum csv_result read, char *text, size_t size)
{
	FILE *out = fmemopen(text, size, "w");

	assert_non_null(out);
	if (read == CSV_LEFT_OUT)
		(void)fputs("?", out);
	else if (read == CSV_FAULT)
		(void)fputs("!", out);
	for (size_t i = 0; read == CSV_RECORD && i < csv->field_count; i++)
		(void)fprintf(out, "%s%s", i > 0 ? "|" : "", csv->fields[i].is_null ? "-" : csv->fields[i].text);
	(void)fputc('\0', out);
	assert_int_equal(fclose(out), 0);
}

static void check(const char *text, size_t size, enum csv_dialect dialect, const char *const records[])
{
	/* fmemopen() has no empty files in all releases. */
	FILE *file = tmpfile();
	struct csv *csv;
	char shown[256];

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	rewind(file);
	csv = csv_new(NULL, file, dialect);
	assert_non_null(csv);
	for (size_t i = 0; records[i] != NULL; i++) {
		enum csv_result read = csv_read(csv);

		assert_int_not_equal(read, CSV_END);
		write_record(csv, read, shown, sizeof shown);
		assert_string_equal(shown, records[i]);
		if (read == CSV_FAULT)
			break;
	}
	if (strcmp(shown, "!") != 0)
		assert_int_equal(csv_read(csv), CSV_END);
	talloc_free(csv);
	assert_int_equal(fclose(file), 0);
}

#define CHECK(text, dialect, ...) check(text, sizeof(text) - 1, dialect, (const char *const[]){__VA_ARGS__, NULL})

static void fields_are_read_as_the_standard_has_them(void **state)
{
	(void)state;
	CHECK("a,b\r\n1,2\r\n", CSV_RFC4180, "a|b", "1|2");
	CHECK("a,b\n1,2", CSV_RFC4180, "a|b", "1|2");
	CHECK("a,b\n,\n", CSV_RFC4180, "a|b", "|");
	CHECK("a\n\n\r\n1\n", CSV_RFC4180, "a", "1");
	CHECK("\xef\xbb\xbf\"a\",b\n\"1,\"\"x\"\"\n\",2\n", CSV_RFC4180, "a|b", "1,\"x\"\n|2");
	CHECK("a,b\nx\ry, z \n", CSV_RFC4180, "a|b", "x\ry| z ");
	CHECK("a\n\"\"\n", CSV_RFC4180, "a", "");
	CHECK("a,b\nsaid \"x\",\\N\n", CSV_RFC4180, "a|b", "said \"x\"|\\N");
}

static void separator_is_the_first_of_the_header(void **state)
{
	(void)state;
	CHECK("a;b,c\n1;2,3\n", CSV_RFC4180, "a|b,c", "1|2,3");
	CHECK("a\tb\n1\t2;3\n", CSV_RFC4180, "a|b", "1|2;3");
	CHECK("\"a,b\";c\n1;2\n", CSV_RFC4180, "a,b|c", "1|2");
}

static void nothing_behind_a_fault_is_read(void **state)
{
	(void)state;
	CHECK("a,b\n\"x\"y,1\n2,3\n", CSV_RFC4180, "a|b", "!");
	CHECK("a,b\n\"x,1\n2,3\n", CSV_RFC4180, "a|b", "!");
	CHECK("a,b\n\"x\" ,1\n", CSV_RFC4180, "a|b", "!");
}

static void record_with_a_nul_is_left_out(void **state)
{
	(void)state;
	CHECK("a,b\nx\0y,1\n2,3\n", CSV_RFC4180, "a|b", "?", "2|3");
	CHECK("a,b\nx\\0y,1\n2,3\n", CSV_MYSQL, "a|b", "?", "2|3");
}

static void record_that_is_too_long_is_passed_over_as_a_whole(void **state)
{
	size_t size = 3 * CSV_RECORD_MAX;
	char *text = malloc(size);

	(void)state;
	assert_non_null(text);
	/* All of it within quotation marks, with lines that look like records. */
	(void)strcpy(text, "a,b\n1,\"");
	for (size_t at = strlen(text); at < size; at += 4)
		memcpy(text + at, "x,y\n", size - at < 4 ? size - at : 4);
	memcpy(text + size - 6, "\"\n2,3\n", 6);
	check(text, size, CSV_RFC4180, (const char *const[]){"a|b", "?", "2|3", NULL});
	/* Too many fields. */
	(void)strcpy(text, "a,b\n");
	memset(text + 4, ',', CSV_FIELDS_MAX);
	(void)strcpy(text + 4 + CSV_FIELDS_MAX, "\n2,3\n");
	check(text, strlen(text), CSV_RFC4180, (const char *const[]){"a|b", "?", "2|3", NULL});
	free(text);
}

static void backslashes_of_mysql_are_taken_off(void **state)
{
	(void)state;
	CHECK("a,b\n\"x\\\"\\\\\\n\",\\N\n", CSV_MYSQL, "a|b", "x\"\\\n|-");
	CHECK("a,b\n\"\\N\",NULL\n", CSV_MYSQL, "a|b", "N|-");
	CHECK("a,b\n\"NULL\",\\Nx\n", CSV_MYSQL, "a|b", "NULL|Nx");
	CHECK("a,b\nx\\,y,z\\\n1\n", CSV_MYSQL, "a|b", "x,y|z\n1");
	/* mysql --batch puts nothing into quotation marks. */
	CHECK("a\tb\n\"x\t\\ty\n", CSV_MYSQL, "a|b", "\"x|\ty");
	CHECK("a\tb\n1\tx\\", CSV_MYSQL, "a|b", "1|x\\");
}

static const char *problem_of(const char *header, const char *map, const char *ignore, struct import_columns *columns)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	FILE *file = tmpfile();
	static char text[512];
	struct csv *csv;
	const char *problem;

	assert_non_null(file);
	assert_true(fputs(header, file) >= 0);
	rewind(file);
	csv = csv_new(ctx, file, CSV_RFC4180);
	assert_int_equal(csv_read(csv), CSV_RECORD);
	problem = import_columns_find(ctx, csv, map, ignore, columns);
	if (problem != NULL)
		(void)snprintf(text, sizeof text, "%s", problem);
	talloc_free(ctx);
	(void)fclose(file);
	return problem != NULL ? text : NULL;
}

static void columns_are_found_by_their_names_and_by_what_is_said_of_them(void **state)
{
	struct import_columns columns;

	(void)state;
	assert_null(problem_of("Password Hash,NAME, e-mail ", "E_MAIL=email", NULL, &columns));
	assert_int_equal(columns.count, 3);
	assert_int_equal(columns.of[0], COLUMN_PASSWORD_HASH);
	assert_int_equal(columns.of[1], COLUMN_USERNAME);
	assert_int_equal(columns.of[2], COLUMN_EMAIL);
	/* A name that is known can be said to be something else, or nothing. */
	assert_null(problem_of("name,login,plan", "login=username", "name,plan", &columns));
	assert_int_equal(columns.of[0], COLUMN_IGNORED);
	assert_int_equal(columns.of[1], COLUMN_USERNAME);
	assert_int_equal(columns.of[2], COLUMN_IGNORED);
	assert_non_null(strstr(problem_of("name,login", NULL, NULL, &columns), "\"login\" is not known"));
	assert_non_null(strstr(problem_of("name,login", "login=username", NULL, &columns), "two columns for username"));
	assert_non_null(strstr(problem_of("name", "=", NULL, &columns), "none of that name"));
	assert_non_null(strstr(problem_of("email", NULL, NULL, &columns), "no column username"));
	assert_string_equal(problem_of("name,\xff", NULL, NULL, &columns), "the header is not UTF-8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_read_as_the_standard_has_them),
		cmocka_unit_test(separator_is_the_first_of_the_header),
		cmocka_unit_test(nothing_behind_a_fault_is_read),
		cmocka_unit_test(record_with_a_nul_is_left_out),
		cmocka_unit_test(record_that_is_too_long_is_passed_over_as_a_whole),
		cmocka_unit_test(backslashes_of_mysql_are_taken_off),
		cmocka_unit_test(columns_are_found_by_their_names_and_by_what_is_said_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
