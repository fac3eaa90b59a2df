/* What is logged at most once a minute. */
#include "base/seldom.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void text_is_due_at_once_and_then_after_a_minute(void **state)
{
	static struct seldom seldom;

	(void)state;
	assert_true(seldom_is_due(&seldom, "live nothing", 5000));
	assert_false(seldom_is_due(&seldom, "live nothing", 5000));
	assert_false(seldom_is_due(&seldom, "live nothing", 5000 + SELDOM_PAUSE_MS - 1));
	assert_true(seldom_is_due(&seldom, "live nothing", 5000 + SELDOM_PAUSE_MS));
	assert_false(seldom_is_due(&seldom, "live nothing", 5000 + SELDOM_PAUSE_MS));
}

static void texts_do_not_wait_for_each_other(void **state)
{
	static struct seldom seldom;

	(void)state;
	assert_true(seldom_is_due(&seldom, "plan=", 5000));
	assert_true(seldom_is_due(&seldom, "group=", 5000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_due_at_once_and_then_after_a_minute),
		cmocka_unit_test(texts_do_not_wait_for_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
