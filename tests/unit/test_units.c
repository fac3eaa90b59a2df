#include "base/units.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"

#include <limits.h>

typedef int parser(const char *text, int64_t *value);

static void assert_value(parser *parse, const char *text, int64_t expected)
{
	int64_t value = -7;

	if (parse(text, &value) != 0)
		fail_msg("\"%s\" is refused", text);
	if (value != expected)
		fail_msg("\"%s\" is %lld, not %lld", text, (long long)value, (long long)expected);
}

static void assert_refused(parser *parse, const char *text)
{
	int64_t value = -7;

	if (parse(text, &value) != -1)
		fail_msg("\"%s\" is taken as %lld", text, (long long)value);
	if (value != -7)
		fail_msg("\"%s\" is refused, but changes the value", text);
}

static void durations_are_milliseconds(void **state)
{
	(void)state;
	assert_value(units_parse_duration, "0", 0);
	assert_value(units_parse_duration, "0s", 0);
	assert_value(units_parse_duration, "200ms", 200);
	assert_value(units_parse_duration, "30s", 30000);
	assert_value(units_parse_duration, "007s", 7000);
	assert_value(units_parse_duration, "5m", 300000);
	assert_value(units_parse_duration, "2h", 7200000);
	assert_value(units_parse_duration, "14d", 14 * INT64_C(86400000));
	assert_value(units_parse_duration, "9223372036854775807ms", INT64_MAX);
}

static void sizes_are_bytes(void **state)
{
	(void)state;
	assert_value(units_parse_size, "0", 0);
	assert_value(units_parse_size, "1500", 1500);
	assert_value(units_parse_size, "1500B", 1500);
	assert_value(units_parse_size, "64KiB", 65536);
	assert_value(units_parse_size, "64MiB", 64 << 20);
	assert_value(units_parse_size, "4GiB", INT64_C(4) << 30);
}

static void numbers_are_digits(void **state)
{
	(void)state;
	assert_value(units_parse_number, "0", 0);
	assert_value(units_parse_number, "10000", 10000);
	assert_value(units_parse_number, "9223372036854775807", INT64_MAX);
}

static void nothing_else_is_taken(void **state)
{
	static const char *const never[] = {
		"",    " ",   "x",    "-1", "+1",  " 1", "1 ",  "1\n",        "1.5",
		"1,5", "1e3", "0x10", "-",  "1 s", "s",  "KiB", "1\xc2\xa0s",
	};
	static const char *const durations[] = {"1",  "30", "-1s",  "+1s",  "1.5s", "1S",    "1M",
	                                        "1w", "1y", "1min", "1sec", "1s ",  "1h30m", "1KiB"};
	static const char *const sizes[] = {"1K",   "1k", "1kB",   "1KB",   "1MB",    "1kib",
	                                    "1TiB", "1b", "1 KiB", "-1KiB", "1.5MiB", "1s"};
	static const char *const numbers[] = {"1s", "1KiB", "12a"};

	(void)state;
	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
		assert_refused(units_parse_duration, never[i]);
		assert_refused(units_parse_size, never[i]);
		assert_refused(units_parse_number, never[i]);
	}
	for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
		assert_refused(units_parse_duration, durations[i]);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		assert_refused(units_parse_size, sizes[i]);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		assert_refused(units_parse_number, numbers[i]);
}

static void what_does_not_fit_is_refused(void **state)
{
	(void)state;
	assert_refused(units_parse_number, "9223372036854775808");
	assert_refused(units_parse_number, "18446744073709551616");
	assert_refused(units_parse_number, "99999999999999999999999999999999");
	assert_refused(units_parse_duration, "9223372036854775808ms");
	assert_refused(units_parse_duration, "9223372036854776s");
	assert_refused(units_parse_duration, "106751991168d");
	assert_refused(units_parse_size, "8589934592GiB");
	assert_refused(units_parse_size, "9007199254740992KiB");
	assert_value(units_parse_duration, "106751991167d", INT64_C(106751991167) * 86400000);
	assert_value(units_parse_size, "8589934591GiB", INT64_C(8589934591) << 30);
}

static void the_largest_exact_unit_is_written(void **state)
{
	char text[24];

	(void)state;
	assert_string_equal(units_format_duration(0, text, sizeof text), "0");
	assert_string_equal(units_format_duration(1, text, sizeof text), "1ms");
	assert_string_equal(units_format_duration(1500, text, sizeof text), "1500ms");
	assert_string_equal(units_format_duration(90000, text, sizeof text), "90s");
	assert_string_equal(units_format_duration(60000, text, sizeof text), "1m");
	assert_string_equal(units_format_duration(INT64_C(36) * 3600000, text, sizeof text), "36h");
	assert_string_equal(units_format_duration(INT64_C(14) * 86400000, text, sizeof text), "14d");
	assert_string_equal(units_format_duration(INT64_MAX, text, sizeof text), "9223372036854775807ms");
	assert_string_equal(units_format_size(0, text, sizeof text), "0");
	assert_string_equal(units_format_size(1500, text, sizeof text), "1500B");
	assert_string_equal(units_format_size(65536, text, sizeof text), "64KiB");
	assert_string_equal(units_format_size(64 << 20, text, sizeof text), "64MiB");
	assert_string_equal(units_format_size(INT64_C(4) << 30, text, sizeof text), "4GiB");
	assert_string_equal(units_format_size(INT64_MAX, text, sizeof text), "9223372036854775807B");
}

static void what_is_written_reads_as_the_same(void **state)
{
	static const int64_t values[] = {
		0, 1, 59, 999, 1000, 1024, 3600000, 86400000, 86400001, INT64_C(1) << 40, INT64_MAX};
	char text[24];

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		assert_value(units_parse_duration, units_format_duration(values[i], text, sizeof text), values[i]);
		assert_value(units_parse_size, units_format_size(values[i], text, sizeof text), values[i]);
	}
}

static void time_left_is_what_poll_takes(void **state)
{
	int64_t now = clock_monotonic_ms();
	int left = clock_until_ms(now + 60000);

	(void)state;
	assert_in_range(left, 1, 60000);
	assert_int_equal(clock_until_ms(now), 0);
	assert_int_equal(clock_until_ms(now - 1000), 0);
	assert_int_equal(clock_until_ms(now + INT64_C(1000) * INT_MAX), INT_MAX);
	assert_true(clock_monotonic_ms() >= now);
	/* 2020-01-01 in microseconds: neither seconds nor nanoseconds. */
	assert_true(clock_wall_us() > INT64_C(1577836800000000));
	assert_true(clock_wall_us() < INT64_C(1577836800000000) * 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_milliseconds),
		cmocka_unit_test(sizes_are_bytes),
		cmocka_unit_test(numbers_are_digits),
		cmocka_unit_test(nothing_else_is_taken),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(the_largest_exact_unit_is_written),
		cmocka_unit_test(what_is_written_reads_as_the_same),
		cmocka_unit_test(time_left_is_what_poll_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
