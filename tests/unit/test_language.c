#include "http/language.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

static void tags_are_of_subtags(void **state)
{
	static const char *const good[] = {"de",         "en",     "zh-Hans", "zh-Hans-CN",
	                                   "de-CH-1996", "es-419", "nan",     "de-x-swabian"};
	static const char *const bad[] = {"",
	                                  "d",
	                                  "-",
	                                  "de-",
	                                  "-de",
	                                  "de--AT",
	                                  "de_AT",
	                                  "1de",
	                                  "d3",
	                                  "deutschland",
	                                  "de-Oesterreich",
	                                  "../de",
	                                  "de/at",
	                                  "de at",
	                                  "de\nat",
	                                  "\xc3\xa9n",
	                                  "de;q=1",
	                                  "de-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		if (!language_is_tag(good[i]))
			fail_msg("%s is none", good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (language_is_tag(bad[i]))
			fail_msg("%s is one", bad[i]);
	}
}

static void assert_found(const char *range, const char *expected)
{
	static const char *const tags[] = {"zh-Hans", "en", "en-GB", "de", "zh-TW", "sr-Latn-RS", "de-x-plain"};
	const size_t count = sizeof tags / sizeof tags[0];
	size_t found = language_find(range, strlen(range), tags, count);

	assert_true(found <= count);
	assert_string_equal(found < count ? tags[found] : "none", expected);
}

static void nearest_language_is_found(void **state)
{
	(void)state;
	assert_found("en", "en");
	assert_found("EN-gb", "en-GB");
	assert_found("en-US", "en");
	assert_found("de-AT-1996", "de");
	assert_found("zh", "zh-Hans");
	assert_found("zh-CN", "zh-Hans");
	assert_found("zh-Hans-SG", "zh-Hans");
	assert_found("zh-TW", "zh-TW");
	assert_found("sr", "sr-Latn-RS");
	assert_found("sr-Latn", "sr-Latn-RS");
	assert_found("sr-Cyrl-RS", "sr-Latn-RS");
	/* A single character means nothing without what follows it (RFC 4647, 3.4). */
	assert_found("de-x", "de-x-plain");
	assert_found("de-x-other", "de");
	assert_found("fr", "none");
	assert_found("e", "none");
	assert_found("", "none");
	assert_found("-", "none");
	assert_found("eng", "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_are_of_subtags),
		cmocka_unit_test(nearest_language_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
