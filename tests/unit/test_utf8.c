#include "base/utf8.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void each_valid_sequence_has_its_size(void **state)
{
	/* The first and the last of each size, and those beside the surrogates (RFC 3629, 3 and 4). */
	static const char *const valid[] = {
		"\x01",         "\x7f",         "\xc2\x80",     "\xdf\xbf",         "\xe0\xa0\x80",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
	};

	(void)state;
	for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
		char followed[8];

		assert_int_equal(utf8_sequence(valid[i]), strlen(valid[i]));
		assert_true(utf8_is_valid(valid[i]));
		(void)snprintf(followed, sizeof followed, "%sz", valid[i]);
		assert_int_equal(utf8_sequence(followed), strlen(valid[i]));
		assert_true(utf8_is_valid(followed));
	}
	assert_int_equal(utf8_sequence(""), 0);
	assert_true(utf8_is_valid(""));
}

static void nothing_else_is_valid(void **state)
{
	static const char *const invalid[] = {
		"\x80",                 /* a continuation alone */
		"\xbf",                 /* the last of them */
		"\xc3",                 /* cut short */
		"\xe2\x82",             /* cut short */
		"\xf0\x9f\x94",         /* cut short */
		"\xc3(",                /* interrupted */
		"\xe2(\xac",            /* interrupted */
		"\xf0\x9f(\x91",        /* interrupted */
		"\xc0\x80",             /* overlong NUL */
		"\xc0\xaf",             /* overlong slash */
		"\xc1\xbf",             /* overlong */
		"\xe0\x9f\xbf",         /* overlong */
		"\xf0\x8f\xbf\xbf",     /* overlong */
		"\xed\xa0\x80",         /* the first surrogate */
		"\xed\xbf\xbf",         /* the last surrogate */
		"\xf4\x90\x80\x80",     /* past U+10FFFF */
		"\xf8\x88\x80\x80\x80", /* five bytes */
		"\xfe",
		"\xff",
	};

	(void)state;
	for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
		char behind[16];

		if (utf8_sequence(invalid[i]) != 0 || utf8_is_valid(invalid[i]))
			fail_msg("entry %zu is taken", i);
		(void)snprintf(behind, sizeof behind, "a\xc3\xa9%s", invalid[i]);
		assert_false(utf8_is_valid(behind));
	}
}

static void a_sequence_is_its_code_point(void **state)
{
	static const struct {
		const char *text;
		uint32_t character;
		bool is_control;
	} cases[] = {
		{"\x01", 0x01, true},
		{"\x1f", 0x1f, true},
		{" ", 0x20, false},
		{"~", 0x7e, false},
		{"\x7f", 0x7f, true},
		{"\xc2\x80", 0x80, true},
		{"\xc2\x9f", 0x9f, true},
		{"\xc2\xa0", 0xa0, false},
		{"\xe2\x82\xac", 0x20ac, false},
		{"\xf4\x8f\xbf\xbf", 0x10ffff, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint32_t character;

		assert_int_equal(utf8_character(cases[i].text, &character), strlen(cases[i].text));
		assert_int_equal(character, cases[i].character);
		assert_int_equal(utf8_is_control(character), cases[i].is_control);
	}
}

static void assert_clean(const char *text, const char *expected)
{
	char out[64];

	utf8_clean(text, out, sizeof out);
	assert_string_equal(out, expected);
}

static void control_characters_and_invalid_bytes_become_question_marks(void **state)
{
	(void)state;
	assert_clean("", "");
	assert_clean("Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (X11; Linux)");
	assert_clean("J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x94\x91", "J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x94\x91");
	assert_clean("a\tb\r\nc\x1b[31md\x7f", "a?b??c?[31md?");
	/* U+0080 to U+009F are control characters too: U+009B begins a terminal's command as ESC [ does. */
	assert_clean("a\xc2\x9b"
	             "31mb",
	             "a?31mb");
	assert_clean("\xc2\x80\xc2\x9f\xc2\xa0", "??\xc2\xa0");
	assert_clean("\xff\xc3", "??");
	/* U+202E and U+2066 would have what follows read from right to left. */
	assert_clean("a\xe2\x80\xaetxt", "a?txt");
	assert_clean("\xe2\x81\xa6z", "?z");
	assert_clean("\xc3(\xed\xa0\x80z", "?(???z");
}

static void copy_is_cut_at_a_character(void **state)
{
	/* The part of "a€b" that fits, and a NUL. */
	static const char *const expected[] = {"",
	                                       "a",
	                                       "a",
	                                       "a",
	                                       "a\xe2\x82\xac",
	                                       "a\xe2\x82\xac"
	                                       "b",
	                                       "a\xe2\x82\xac"
	                                       "b"};

	(void)state;
	for (size_t size = 1; size <= 7; size++) {
		char out[8];

		memset(out, '#', sizeof out);
		utf8_clean("a\xe2\x82\xac"
		           "b",
		           out, size);
		assert_string_equal(out, expected[size - 1]);
		for (size_t i = size; i < sizeof out; i++)
			assert_int_equal(out[i], '#');
	}
}

static void what_was_cleaned_is_valid_and_stays_as_it_is(void **state)
{
	(void)state;
	for (int first = 1; first < 256; first++) {
		for (int second = 1; second < 256; second++) {
			const char text[] = {(char)first, (char)second, 'z', '\0'};
			char once[8], twice[8];

			utf8_clean(text, once, sizeof once);
			assert_true(utf8_is_valid(once));
			assert_int_equal(once[strlen(once) - 1], 'z');
			utf8_clean(once, twice, sizeof twice);
			assert_string_equal(twice, once);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_valid_sequence_has_its_size),
		cmocka_unit_test(nothing_else_is_valid),
		cmocka_unit_test(a_sequence_is_its_code_point),
		cmocka_unit_test(control_characters_and_invalid_bytes_become_question_marks),
		cmocka_unit_test(copy_is_cut_at_a_character),
		cmocka_unit_test(what_was_cleaned_is_valid_and_stays_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
