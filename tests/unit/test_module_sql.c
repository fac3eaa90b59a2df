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
		assert_null(sql_problem(allowed[i]));
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
		assert_non_null(sql_problem(refused[i]));
}

static void statements_whose_words_leave_something_behind_are_told(void **state)
{
	static const struct {
		const char *sql, *problem;
	} refused[] = {
		{"SELECT * INTO TEMP sessions FROM sessions", "INTO"},
		{"select 1 into x", "INTO"},
		{"SELECT INTO x FROM y", "INTO"},
		{"WITH a AS (SELECT 1) SELECT * INTO TEMP t FROM a", "INTO"},
		{"SELECT 1/**/INTO/**/TEMP t", "INTO"},
		{"SELECT '' INTO TEMP t", "INTO"},
		{"SELECT 1 insert INTO TEMP t", "INTO"},
		{"SELECT merge INTO TEMP t FROM (SELECT 1 AS merge) x", "INTO"},
		{"SELECT now() merge INTO TEMP t", "INTO"},
		{"(SELECT 1 INTO TEMP t)", "INTO"},
		{"SELECT $1 INTO TEMP t", "INTO"},
		{"SELECT $$a$$ INTO TEMP t", "INTO"},
		{"SELECT E'\\'' INTO TEMP t --'", "INTO"},
		{"SELECT 'a\\' INTO TEMP t --'", "INTO"},
		{"SELECT set_config('search_path', '', false)", "set_config"},
		{"SELECT pg_catalog.Set_Config ('a.b', '', true)", "set_config"},
		{"SELECT \"set_config\"('a.b', '', true)", "set_config"},
		{"SELECT x.y, (SELECT set_config('a.b', '', true)) FROM x", "set_config"},
		{"UPDATE pg_settings SET setting = '' WHERE name = 'search_path'", "pg_settings"},
		{"WITH u AS (UPDATE pg_catalog.\"pg_settings\" SET setting = '') SELECT 1", "pg_settings"},
		{"SELECT U&\"set\\005fconfig\"('a.b', '', true)", "U&"},
		{"SELECT pg_advisory_lock(1)", "outlasts"},
		{"SELECT pg_try_advisory_lock_shared(1)", "outlasts"},
		{"SELECT pg_advisory_unlock_all()", "outlasts"},
	};
	static const char *const allowed[] = {
		"INSERT INTO t VALUES ('SELECT 1 INTO x', $$set_config()$$, $a$ $$ into $a$)",
		"WITH i AS (INSERT INTO t VALUES (1) RETURNING *) INSERT INTO u SELECT * FROM i",
		"WITH i AS (SELECT 1) MERGE INTO t USING i ON true WHEN NOT MATCHED THEN INSERT VALUES (1)",
		"-- SELECT 1 INTO x\n/* set_config( */ SELECT \"into\", 'pg_advisory_lock', E'\\'into' FROM t",
		"SELECT 'it''s into', \"a\"\"into\" FROM t",
		"SELECT setting FROM pg_settings WHERE name = $1",
		"UPDATE t SET x = 1 WHERE y = 'pg_settings'",
		"SELECT pg_advisory_xact_lock($1), pg_try_advisory_xact_lock_shared(2)",
		"SELECT into_what, my_set_config, e FROM t WHERE a = $1 AND b = $2",
		"SELECT u & 1, e'x' FROM t",
		"SELECT 'unfinished INTO",
		"SELECT $a$ unfinished INTO $b$",
	};

	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		const char *problem = sql_problem(refused[i].sql);

		if (problem == NULL || strstr(problem, refused[i].problem) == NULL)
			fail_msg("%s: %s", refused[i].sql, problem != NULL ? problem : "allowed");
	}
	for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
		if (sql_problem(allowed[i]) != NULL)
			fail_msg("%s: %s", allowed[i], sql_problem(allowed[i]));
	}
}

static void parentheses_of_any_depth_are_gone_through(void **state)
{
	char sql[1000] = "SELECT ";

	(void)state;
	memset(sql + 7, '(', 300);
	(void)strcpy(sql + 307, "INSERT INTO t");
	assert_non_null(sql_problem(sql));
	(void)strcpy(sql + 307, "1");
	assert_null(sql_problem(sql));
	memset(sql + 308, ')', 500);
	(void)strcpy(sql + 808, " INTO t");
	assert_non_null(sql_problem(sql));
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
		ONES_TIME(INT64_C(-62135596800000000)),
		ONES_TIME(INT64_C(-62135596800000001)),
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
		"0001-01-01T00:00:00.000000Z",
		"-62135596800000001 us",
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
		{"0001-01-01 00:00:00+00", INT64_C(-62135596800000000)},
		{"0001-01-01 00:00:00-02", INT64_C(-62135589600000000)},
		{"10000-01-01 00:00:00+00", INT64_C(253402300800000000)},
		{"294246-12-31 23:59:59.999999+00", INT64_C(9223371244799999999)},
		{"infinity", INT64_MAX},
		{"-infinity", INT64_MIN},
	};
	static const char *const others[] = {"",
	                                     "31.01.2026 10:32:05 UTC",
	                                     "2026-01-31",
	                                     "2026-01-31 10:32:05",
	                                     "2026-01-31 10:32:05+00 AD",
	                                     "0001-12-31 00:00:00+00 BC",
	                                     "0001-01-01 00:00:00+02",
	                                     "294246-12-31 23:59:59-02",
	                                     "294247-01-10 05:00:00+00",
	                                     "294276-12-31 23:59:59+00",
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
		cmocka_unit_test(statements_whose_words_leave_something_behind_are_told),
		cmocka_unit_test(parentheses_of_any_depth_are_gone_through),
		cmocka_unit_test(label_ends_before_the_first_literal),
		cmocka_unit_test(values_are_written_as_the_server_reads_them),
		cmocka_unit_test(moments_are_read_in_every_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
