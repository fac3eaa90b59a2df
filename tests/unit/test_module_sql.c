/* What modules' SQL is given: which statements, values as text, moments. */
#include "session/module_sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void statements_that_read_or_change_rows_are_allowed(void **state)
{
	static const char *const allowed[] = {
		"SELECT 1",
		"  \n\tselect 1",
		"-- why\nSELECT 1",
		"/* a /* b */ c */ WITH x AS (SELECT 1) SELECT * FROM x",
		"(SELECT 1) UNION (SELECT 2)",
		"((values (1)))",
		"INSERT INTO t VALUES (1)",
		"Update t SET x = 1",
		"DELETE FROM t",
		"MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE",
		"TABLE t",
		"LOCK TABLE t",
		"NOTIFY c",
	};

	(void)state;
	for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
		assert_true(sql_is_allowed(allowed[i]));
}

static void statements_that_change_the_connection_are_not(void **state)
{
	static const char *const refused[] = {
		"",
		" ",
		"-- SELECT",
		"/* SELECT 1",
		"/* /* */ SELECT 1",
		"; SELECT 1",
		"BEGIN",
		"START TRANSACTION",
		"COMMIT",
		"end",
		"ROLLBACK",
		"ABORT",
		"SAVEPOINT s",
		"RELEASE s",
		"PREPARE x AS SELECT 1",
		"EXECUTE x",
		"DEALLOCATE ALL",
		"SET search_path = x",
		"/* SELECT */ SET x = 1",
		"-- SELECT\rSET x = 1",
		"RESET ALL",
		"DISCARD ALL",
		"LISTEN x",
		"UNLISTEN *",
		"COPY t FROM STDIN",
		"DECLARE c CURSOR FOR SELECT 1",
		"CREATE TEMP TABLE users (x int)",
		"DROP TABLE t",
		"DO $$ BEGIN END $$",
		"CALL p()",
		"SELECTED",
		"select_1",
		"WITHOUT",
	};

	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		assert_false(sql_is_allowed(refused[i]));
}

static void label_ends_before_the_first_literal(void **state)
{
	char label[SQL_LABEL_SIZE];
	char text[3000];

	(void)state;
	assert_string_equal(sql_label("  SELECT\n\t1  ", label), "SELECT 1");
	assert_string_equal(sql_label("SELECT 1 WHERE x = 'secret'", label), "SELECT 1 WHERE x =...");
	assert_string_equal(sql_label("", label), "");
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	assert_int_equal(strlen(sql_label(text, label)), SQL_LABEL_SIZE - 1);
	assert_string_equal(label + SQL_LABEL_SIZE - 4, "...");
}

static void values_are_written_as_the_server_reads_them(void **state)
{
	static const uint8_t bytes[] = {0x00, 0xff, 0x5c};
	const struct ones_value values[] = {
		ONES_INT(INT64_MIN),
		ONES_BOOL(true),
		ONES_BOOL(false),
		ONES_TEXT("it's"),
		ONES_TEXT(NULL),
		ONES_NULL,
		ONES_BYTES(bytes, sizeof bytes),
		ONES_BYTES(bytes, 0),
		ONES_BYTES(NULL, 0),
		ONES_TIME(0),
		ONES_TIME(INT64_C(1769855525000001)),
		ONES_TIME(-1),
		ONES_TIME(INT64_MAX),
		ONES_TIME(INT64_MIN),
	};
	static const char *const expected[] = {
		"-9223372036854775808",
		"t",
		"f",
		"it's",
		NULL,
		NULL,
		"\\x00ff5c",
		"\\x",
		NULL,
		NULL,
		"2026-01-31T10:32:05.000001Z",
		"1969-12-31T23:59:59.999999Z",
		"infinity",
		"-infinity",
	};
	const char **texts = sql_values_as_text(NULL, values, sizeof values / sizeof values[0]);

	(void)state;
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		if (expected[i] == NULL)
			assert_null(texts[i]);
		else
			assert_string_equal(texts[i], expected[i]);
	}
	talloc_free(texts);
}

static void moments_are_read_in_every_zone(void **state)
{
	static const struct {
		const char *text;
		int64_t when;
	} moments[] = {
		{"1970-01-01 00:00:00+00", 0},
		{"2026-01-31 10:32:05.000001+00", INT64_C(1769855525000001)},
		{"2026-01-31 16:02:05.000001+05:30", INT64_C(1769855525000001)},
		{"2026-01-31 10:12:34-00:19:31", INT64_C(1769855525000000)},
		{"1969-12-31 23:59:59.5+00", -500000},
		{"2000-02-29 00:00:00+00", INT64_C(951782400000000)},
		{"0001-12-31 00:00:00+00 BC", INT64_C(-62135683200000000)},
		{"10000-01-01 00:00:00+00", INT64_C(253402300800000000)},
		{"infinity", INT64_MAX},
		{"-infinity", INT64_MIN},
	};
	static const char *const others[] = {"",
	                                     "31.01.2026 10:32:05 UTC",
	                                     "2026-01-31",
	                                     "2026-01-31 10:32:05",
	                                     "2026-01-31 10:32:05+00 AD",
	                                     "Sat Jan 31 10:32:05 2026 UTC"};
	ones_time when;

	(void)state;
	for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
		assert_true(sql_read_time(moments[i].text, &when));
		assert_int_equal(when, moments[i].when);
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(sql_read_time(others[i], &when));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statements_that_read_or_change_rows_are_allowed),
		cmocka_unit_test(statements_that_change_the_connection_are_not),
		cmocka_unit_test(label_ends_before_the_first_literal),
		cmocka_unit_test(values_are_written_as_the_server_reads_them),
		cmocka_unit_test(moments_are_read_in_every_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
