/* How often a token is used in a second. */
#include "base/call_rates.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void calls_past_the_limit_wait_for_the_next_second(void **state)
{
	static struct call_rates rates;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true(call_rates_count(&rates, 7, 3, 5000 + i));
	assert_false(call_rates_count(&rates, 7, 3, 5999));
	assert_true(call_rates_count(&rates, 7, 3, 6000));
}

static void tokens_are_counted_apart(void **state)
{
	static struct call_rates rates;

	(void)state;
	assert_true(call_rates_count(&rates, 1, 1, 5000));
	assert_true(call_rates_count(&rates, 2, 1, 5000));
	assert_false(call_rates_count(&rates, 1, 1, 5000));
	assert_false(call_rates_count(&rates, 2, 1, 5000));
}

static void numbers_far_apart_share_a_count(void **state)
{
	static struct call_rates rates;

	(void)state;
	assert_true(call_rates_count(&rates, 1, 1, 5000));
	assert_false(call_rates_count(&rates, 1 + CALL_RATES_MAX, 1, 5000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_past_the_limit_wait_for_the_next_second),
		cmocka_unit_test(tokens_are_counted_apart),
		cmocka_unit_test(numbers_far_apart_share_a_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
