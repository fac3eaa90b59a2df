/* Points in time as text. */
#include "base/rfc3339.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

static void assert_written(int64_t us, int digits, const char *expected)
{
	char text[RFC3339_SIZE];

	assert_true(rfc3339_write(us, digits, text));
	assert_string_equal(text, expected);
}

static void moment_is_written_in_utc(void **state)
{
	(void)state;
	assert_written(1769855525123456, 0, "2026-01-31T10:32:05Z");
	assert_written(1709251199000000, 0, "2024-02-29T23:59:59Z");
	assert_written(1, 0, "1970-01-01T00:00:00Z");
}

static void fraction_is_cut_and_padded(void **state)
{
	(void)state;
	assert_written(1769855525123999, 3, "2026-01-31T10:32:05.123Z");
	assert_written(1769855525000042, 6, "2026-01-31T10:32:05.000042Z");
	assert_written(1769855525000042, 3, "2026-01-31T10:32:05.000Z");
}

static void moment_before_1970_is_within_its_second(void **state)
{
	(void)state;
	assert_written(-1, 6, "1969-12-31T23:59:59.999999Z");
}

static void far_moments_have_room(void **state)
{
	char text[RFC3339_SIZE];

	(void)state;
	assert_true(rfc3339_write(RFC3339_END - 1, 6, text));
	assert_string_equal(text, "294246-12-31T23:59:59.999999Z");
	assert_false(rfc3339_write(RFC3339_END, 6, text));
	assert_false(rfc3339_write(INT64_MAX - 1, 6, text));
}

static void early_years_have_four_digits(void **state)
{
	char text[RFC3339_SIZE];

	(void)state;
	assert_written(RFC3339_FIRST, 0, "0001-01-01T00:00:00Z");
	assert_written(INT64_C(-60772291200000000), 0, "0044-03-15T00:00:00Z");
	assert_false(rfc3339_write(RFC3339_FIRST - 1, 6, text));
	assert_false(rfc3339_write(INT64_MIN + 1, 6, text));
}

static void what_is_no_moment_is_told(void **state)
{
	char text[RFC3339_SIZE];

	(void)state;
	assert_false(rfc3339_write(0, 0, text));
	assert_false(rfc3339_write(INT64_MAX, 0, text));
	assert_false(rfc3339_write(INT64_MIN, 0, text));
}

static void assert_read(const char *text, int64_t expected)
{
	int64_t us = 0;

	assert_true(rfc3339_read(text, &us));
	assert_int_equal(us, expected);
}

static void moment_is_read(void **state)
{
	(void)state;
	assert_read("2026-01-31T10:32:05Z", 1769855525000000);
	assert_read("2026-01-31t12:32:05.123+02:00", 1769855525123000);
	assert_read("2026-01-31T05:02:05.1234567-05:30", 1769855525123456);
	assert_read("2024-02-29T23:59:59z", 1709251199000000);
	assert_read("1970-01-01T00:00:00Z", 0);
	assert_read("0001-01-01T00:00:00Z", RFC3339_FIRST);
	assert_read("9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999));
}

static void what_is_no_moment_is_not_read(void **state)
{
	static const char *const wrong[] = {
		"",
		"now",
		"2026-01-31",
		"2026-01-31T10:32:05",
		"2026-01-31 10:32:05Z",
		"2026-02-29T10:32:05Z",
		"2026-00-10T10:32:05Z",
		"2026-13-10T10:32:05Z",
		"2026-01-00T10:32:05Z",
		"2026-01-32T10:32:05Z",
		"2026-01-31T24:00:00Z",
		"2026-01-31T10:60:00Z",
		"2026-01-31T10:32:60Z",
		"2026-01-31T10:32:05.Z",
		"2026-01-31T10:32:05,5Z",
		"2026-01-31T10:32:05+0200",
		"2026-01-31T10:32:05+2:00",
		"2026-01-31T10:32:05+24:00",
		"2026-01-31T10:32:05+02:60",
		"2026-01-31T10:32:05ZZ",
		" 2026-01-31T10:32:05Z",
		"2026-01-31T10:32:05Z ",
		"+026-01-31T10:32:05Z",
		"0000-01-01T00:00:00Z",
		"0001-01-01T00:00:00+01:00",
	};
	int64_t us;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(rfc3339_read(wrong[i], &us));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moment_is_written_in_utc),
		cmocka_unit_test(fraction_is_cut_and_padded),
		cmocka_unit_test(moment_before_1970_is_within_its_second),
		cmocka_unit_test(far_moments_have_room),
		cmocka_unit_test(early_years_have_four_digits),
		cmocka_unit_test(what_is_no_moment_is_told),
		cmocka_unit_test(moment_is_read),
		cmocka_unit_test(what_is_no_moment_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
