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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moment_is_written_in_utc),
		cmocka_unit_test(fraction_is_cut_and_padded),
		cmocka_unit_test(moment_before_1970_is_within_its_second),
		cmocka_unit_test(far_moments_have_room),
		cmocka_unit_test(early_years_have_four_digits),
		cmocka_unit_test(what_is_no_moment_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
