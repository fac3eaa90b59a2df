#include "http/next.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

static void assert_all(const char *const targets[], size_t count, bool expected)
{
	for (size_t i = 0; i < count; i++) {
		if (next_is_safe(targets[i]) != expected)
			fail_msg("%s is %s", targets[i], expected ? "refused" : "taken");
	}
}

static void paths_of_this_site_are_taken(void **state)
{
	/* The paths of Django's tests/utils_tests/test_http.py, and ones in common use. */
	static const char *const good[] = {
		"/",
		"/view/?param=http://example.com",
		"/view/?param=https://example.com",
		"/view?param=ftp://example.com",
		"/view/?param=//example.com",
		"/url%20with%20spaces/",
		"/url with spaces/",
		"/path/http:2222222222",
		"/confirm?email=me@example.com",
		"/me@example.com/",
		"/a//b",
		"/a:b",
		"/J\xc3\xbcrgen",
		"/%2F/example.com",
		"/%5Cexample.com",
		"/members/?tab=1#top",
	};

	(void)state;
	assert_all(good, sizeof good / sizeof good[0], true);
}

static void what_django_refuses_is_refused(void **state)
{
	/* Django, tests/utils_tests/test_http.py, URLHasAllowedHostAndSchemeTests. */
	static const char *const bad[] = {
		"http://example.com",
		"http:///example.com",
		"https://example.com",
		"ftp://example.com",
		"\\\\example.com",
		"\\\\\\example.com",
		"/\\\\/example.com",
		"\\\\//example.com",
		"/\\/example.com",
		"\\/example.com",
		"/\\example.com",
		"http:/\\//example.com",
		"http:\\/example.com",
		"http:/\\example.com",
		"javascript:alert(\"XSS\")",
		"\njavascript:alert(x)",
		"java\nscript:alert(x)",
		"\x08//example.com",
		"http://otherserver\\@example.com",
		"http:\\\\testserver\\@example.com",
		"http://testserver\\me:pass@example.com",
		"http://testserver\\@example.com",
		"http:\\\\testserver\\confirm\\me@example.com",
		"http:999999999",
		"ftp:9999999999",
		"\n",
		"http://[2001:cdba:0000:0000:0000:0000:3257:9652/",
		"http://2001:cdba:0000:0000:0000:0000:3257:9652]/",
		"//example.com",
		"///example.com",
		"////example.com",
		"",
		" ",
	};

	(void)state;
	assert_all(bad, sizeof bad / sizeof bad[0], false);
	assert_false(next_is_safe(NULL));
}

/* Browsers drop tabs and line ends, take a backslash for a slash, and cut white space off. */
static void disguises_are_refused(void **state)
{
	static const char *const bad[] = {
		"/\t/example.com",
		"/\r/example.com",
		"/\n/example.com",
		"\t//example.com",
		" //example.com",
		"/\t\\example.com",
		"\\t/a",
		"/a\\b",
		"/a\tb",
		"/a\r\nX: y",
		"/a\x7f",
		" /a",
		"user@host",
		"@example.com",
		"//user@example.com/a",
		"//",
		"/\\",
		"members/",
		"?a=b",
		"#a",
		"https:/a",
		"/\x1f/a",
		"/a\x01",
	};

	(void)state;
	assert_all(bad, sizeof bad / sizeof bad[0], false);
}

static void no_control_character_is_taken_anywhere(void **state)
{
	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		bool is_refused = byte < 0x20 || byte == 0x7f || byte == '\\';
		const char in_the_middle[] = {'/', 'a', (char)byte, 'b', '\0'};
		const char at_the_end[] = {'/', 'a', (char)byte, '\0'};

		assert_int_equal(next_is_safe(in_the_middle), !is_refused);
		assert_int_equal(next_is_safe(at_the_end), !is_refused);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_of_this_site_are_taken),
		cmocka_unit_test(what_django_refuses_is_refused),
		cmocka_unit_test(disguises_are_refused),
		cmocka_unit_test(no_control_character_is_taken_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
