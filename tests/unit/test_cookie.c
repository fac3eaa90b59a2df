#include "http/cookie_spellings.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

/* The first. */
static bool find(const char *header, const char *name, bool (*is_wanted)(const char *value), char *out, size_t size)
{
	struct cookie_search search = {.at = header, .left = header != NULL ? strlen(header) : 0};

	return cookie_find(&search, name, is_wanted, out, size);
}

struct row {
	const char *header;
	const char *name;
	const char *expected; /* NULL: not found */
};

static void cookie_is_found_by_its_whole_name(void **state)
{
	static const struct row rows[] = {
		{"session=abc", "session", "abc"},
		{"a=1; session=abc; b=2", "session", "abc"},
		{"a=1;session=abc;b=2", "session", "abc"},
		{"  session=abc  ", "session", "abc"},
		{"session=abc \t; a=1", "session", "abc"},
		{";; ;session=abc", "session", "abc"},
		{"session=", "session", ""},
		{"session=a=b==", "session", "a=b=="},
		{"session=one; session=two", "session", "one"},
		{"__Host-session=abc; session=def", "session", "def"},
		{"__Host-session=abc; session=def", "__Host-session", "abc"},
		{NULL, "session", NULL},
		{"", "session", NULL},
		{"session", "session", NULL},
		{"sessions=abc", "session", NULL},
		{"sessio=abc", "session", NULL},
		{"xsession=abc", "session", NULL},
		{"Session=abc", "session", NULL},
		{"session =abc", "session", NULL},
		{"a=session=abc", "session", NULL},
		{"a=1, session=abc", "session", NULL},
		{"session; =abc", "session", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *row = &rows[i];
		char value[32];

		if (find(row->header, row->name, NULL, value, sizeof value) != (row->expected != NULL))
			fail_msg("%s in: %s", row->name, row->header != NULL ? row->header : "no header");
		if (row->expected != NULL)
			assert_string_equal(value, row->expected);
	}
}

static bool is_right(const char *value)
{
	return strcmp(value, "right") == 0;
}

/* Another site below the same domain may set a cookie of this name, which then precedes the daemon's. */
static void cookies_that_are_not_wanted_are_passed_over(void **state)
{
	char value[8];

	(void)state;
	assert_true(find("s=wrong; s=; s=right; s=other", "s", is_right, value, sizeof value));
	assert_string_equal(value, "right");
	assert_false(find("s=wrong; s=rightly", "s", is_right, value, sizeof value));
}

static void value_that_does_not_fit_is_passed_over(void **state)
{
	char value[6];

	(void)state;
	memset(value, '#', sizeof value);
	assert_true(find("s=12345; s=1234; s=123", "s", NULL, value, 5));
	assert_string_equal(value, "1234");
	assert_int_equal(value[5], '#');
	assert_false(find("s=12345", "s", NULL, value, 5));
	/* White space after it does not count. */
	assert_true(find("s=4321    ; a=1", "s", NULL, value, 5));
	assert_string_equal(value, "4321");
}

static void those_of_one_name_are_found_one_after_the_other(void **state)
{
	static const char *const expected[] = {"1", "", "3", "4"};
	static const char header[] = "s=1; t=2; s=; s=3;s=4;";
	struct cookie_search search = {.at = header, .left = sizeof header - 1};
	char value[4];

	(void)state;
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		assert_true(cookie_find(&search, "s", NULL, value, sizeof value));
		assert_string_equal(value, expected[i]);
	}
	assert_false(cookie_find(&search, "s", NULL, value, sizeof value));
	assert_false(cookie_find(&search, "t", NULL, value, sizeof value));
	search = (struct cookie_search){.at = NULL};
	assert_false(cookie_find(&search, "s", NULL, value, sizeof value));
}

/* The header need not end with a NUL. */
static void nothing_behind_its_end_is_looked_at(void **state)
{
	static const char header[] = "a=1; s=22; s=3";
	char value[4];

	(void)state;
	for (size_t left = 0; left < sizeof header; left++) {
		char copy[sizeof header];
		struct cookie_search search = {.at = copy, .left = left};

		memset(copy, '4', sizeof copy);
		memcpy(copy, header, left);
		if (!cookie_find(&search, "s", NULL, value, sizeof value))
			assert_true(left < 7);
		else
			assert_string_equal(value, left == 7 ? "" : left == 8 ? "2" : "22");
	}
}

static void only_so_many_are_looked_at(void **state)
{
	char header[5 * (COOKIE_PAIRS_MAX + 1) + 8] = "";
	struct cookie_search search = {0};
	size_t used = 0;
	char value[4];

	(void)state;
	for (int i = 0; i < COOKIE_PAIRS_MAX - 1; i++)
		used += (size_t)snprintf(header + used, sizeof header - used, "a=1; ");
	(void)snprintf(header + used, sizeof header - used, "s=2");
	assert_true(find(header, "s", NULL, value, sizeof value));
	(void)snprintf(header + used, sizeof header - used, "a=1; s=2");
	assert_false(find(header, "s", NULL, value, sizeof value));
	/* The limit counts over one search, however many were found. */
	search = (struct cookie_search){.at = header, .left = strlen(header)};
	for (int i = 0; i < COOKIE_PAIRS_MAX; i++)
		assert_true(cookie_find(&search, "a", NULL, value, sizeof value));
	assert_false(cookie_find(&search, "s", NULL, value, sizeof value));
}

static void one_that_a_program_may_read_is_found(void **state)
{
	static const struct row rows[] = {
		{"sid=abc", "sid", "abc"},
		{"sid=abc; a=b", "sid", "abc"},
		{"a=b; SID \t=\t abc ", "sid", "abc"},
		{"a=b, sid=abc, c=d", "sid", "abc"},
		{"s%69d=abc", "sid", "abc"},
		{"%73%69%64=abc", "sid", "abc"},
		{"\xc2\xa0sid\xc2\xa0=\xc2\xa0"
	         "abc\xc2\xa0",
	         "sid", "abc"},
		{"sid==abc=", "sid", "=abc="},
		{"sid=", "sid", ""},
		{"sid=;abc", "sid", ""},
		{"my.sid=abc", "my_sid", "abc"},
		{"my[sid=abc", "my_sid", "abc"},
		{"sid", "sid", NULL},
		{"xsid=abc", "sid", NULL},
		{"sidx=abc", "sid", NULL},
		{"sid;=abc", "sid", NULL},
		{"a=sid=abc", "sid", NULL},
		{"=", "sid", NULL},
		{"%73%69%6=abc", "sid", NULL},
		{"%%%%%%%%%%%%=abc", "sid", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct cookie_search search = {.at = rows[i].header, .left = strlen(rows[i].header)};
		struct fcgi_text value;

		if (cookie_find_alike(&search, rows[i].name, &value) != (rows[i].expected != NULL))
			fail_msg("%s in: %s", rows[i].name, rows[i].header);
		if (rows[i].expected == NULL)
			continue;
		assert_int_equal(value.length, strlen(rows[i].expected));
		assert_memory_equal(value.at, rows[i].expected, value.length);
		assert_false(cookie_find_alike(&search, rows[i].name, &value));
	}
}

/* clang's sanitizer knows that arithmetic on NULL is undefined, also by 0. */
static void request_without_cookies_has_none(void **state)
{
	struct cookie_search search = {.at = NULL, .left = 0};
	struct fcgi_text value;

	(void)state;
	assert_false(cookie_find_alike(&search, "sid", &value));
}

static void value_is_spelled_as_programs_do(void **state)
{
	/* NULL: it is no other. */
	static const struct {
		const char *value;
		const char *spelled[COOKIE_SPELLINGS];
	} rows[] = {
		{"aA0-_.!~*'()", {"aA0-_.!~*'()"}},
		{"s%3Aa%2f", {"s%3Aa%2f", "s%3Aa%2f", "s:a/", "s%3Aa%2F", "\"s%3Aa%2f\""}},
		{"\"a\"", {"\"a\"", "a", "a", "a", "\"a\"", "%22a%22"}},
		{"\"ab", {"\"ab", "a", "a", "a", "\"a\"", "%22ab"}},
		{"\"", {"\"", "\"", "\"", "%22", "\"\"\""}},
		{"a, \xc3\xa9", {"a, \xc3\xa9", "a, \xc3\xa9", "a, \xc3\xa9", "a%2C%20%C3%A9", "\"a, \xc3\xa9\""}},
		{"\"\\141\\b\\", {"\"\\141\\b\\", "ab", "ab", "ab", "\"ab\"", "%22%5C141%5Cb%5C"}},
		{"\"\\4561\"", {"\"\\4561\"", "4561", "4561", "4561", "\"4561\"", "%22%5C4561%22"}},
		{"\"\\045\\0641\"", {"\"\\045\\0641\"", "%41", "A", "A", "\"%41\"", "%22%5C045%5C0641%22"}},
		{"%", {"%", "%", "%", "%25", "\"%\""}},
		{"%4", {"%4", "%4", "%4", "%254", "\"%4\""}},
		{"a%00", {"a%00", "a%00", NULL, "a%00", "\"a%00\""}},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/", {NULL, NULL, NULL, NULL, NULL}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct fcgi_text value = {rows[i].value, strlen(rows[i].value)};

		for (enum cookie_spelling way = 0; way < COOKIE_SPELLINGS; way++) {
			char out[32];

			if (cookie_spell(value, way, out, sizeof out) != (rows[i].spelled[way] != NULL))
				fail_msg("%s: %d", rows[i].value, (int)way);
			if (rows[i].spelled[way] != NULL)
				assert_string_equal(out, rows[i].spelled[way]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cookie_is_found_by_its_whole_name),
		cmocka_unit_test(cookies_that_are_not_wanted_are_passed_over),
		cmocka_unit_test(value_that_does_not_fit_is_passed_over),
		cmocka_unit_test(those_of_one_name_are_found_one_after_the_other),
		cmocka_unit_test(nothing_behind_its_end_is_looked_at),
		cmocka_unit_test(only_so_many_are_looked_at),
		cmocka_unit_test(one_that_a_program_may_read_is_found),
		cmocka_unit_test(request_without_cookies_has_none),
		cmocka_unit_test(value_is_spelled_as_programs_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
