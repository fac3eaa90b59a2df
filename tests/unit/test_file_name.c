/* Names of files. */
#include "base/file_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void name_that_a_file_can_have_is_taken(void **state)
{
	static const char *const right[] = {"a", "7.jpg", "k\xc3\xbche 1.jpg", "a..", "-rf", "~", "a.b.c", "%2e%2e"};
	char longest[FILE_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
		assert_true(file_name_is_right(right[i]));
	memset(longest, 'x', sizeof longest);
	longest[FILE_NAME_MAX] = '\0';
	assert_true(file_name_is_right(longest));
	longest[FILE_NAME_MAX] = 'x';
	longest[FILE_NAME_MAX + 1] = '\0';
	assert_false(file_name_is_right(longest));
}

static void name_that_leads_elsewhere_or_cannot_be_shown_is_refused(void **state)
{
	static const char *const wrong[] = {"",      ".",    "..",       ".a",        "/a",
	                                    "a/b",   "a/",   "a\\b",     "a\nb",      "a\tb",
	                                    "a\x7f", "\xff", "\xc0\xaf", "a\xc2\x85", "\xed\xa0\x80"};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(file_name_is_right(wrong[i]));
}

static void shown_name_is_the_last_part_and_clean(void **state)
{
	static const char *const cases[][2] = {
		{"a b.txt", "a b.txt"},
		{"../../etc/passwd", "passwd"},
		{"C:\\a\\b.txt", "b.txt"},
		{"a/b\\c", "c"},
		{"a/", ""},
		{"", ""},
		{"a\nb\xff", "a?b?"},
		{"a\xc2\x85", "a?"},
	};
	char out[FILE_NAME_MAX + 1], longer[2 * FILE_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		file_name_shown(cases[i][0], out);
		assert_string_equal(out, cases[i][1]);
	}
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	file_name_shown(longer, out);
	assert_int_equal(strlen(out), FILE_NAME_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_that_a_file_can_have_is_taken),
		cmocka_unit_test(name_that_leads_elsewhere_or_cannot_be_shown_is_refused),
		cmocka_unit_test(shown_name_is_the_last_part_and_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
