/* E-mail addresses. */
#include "base/email.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void address_has_one_form(void **state)
{
	static const char *const cases[][2] = {
		{"ada@example.org", "ada@example.org"},
		{"Ada.Lovelace+site@EXAMPLE.Org", "Ada.Lovelace+site@example.org"},
		{"!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~@example.org"},
		{"a@b.co", "a@b.co"},
		{"a@localhost", "a@localhost"},
		{"a@m\xc3\xbcller.example", "a@xn--mller-kva.example"},
		{"a@M\xc3\x9cLLER.EXAMPLE", "a@xn--mller-kva.example"},
		/* In two pieces. */
		{"a@mu\xcc\x88ller.example", "a@xn--mller-kva.example"},
		{"a@XN--MLLER-KVA.example", "a@xn--mller-kva.example"},
		{"a@stra\xc3\x9f"
	         "e.example",
	         "a@xn--strae-oqa.example"},
		/* The ideographic full stop. */
		{"a@\xe4\xbe\x8b\xe5\xad\x90\xe3\x80\x82\xe6\xb5\x8b\xe8\xaf\x95", "a@xn--fsqu00a.xn--0zwm56d"},
		{"fran\xc3\xa7ois@example.org", "fran\xc3\xa7ois@example.org"},
		{"franc\xcc\xa7ois@example.org", "fran\xc3\xa7ois@example.org"},
		{"\xe7\x94\xa8\xe6\x88\xb7@example.org", "\xe7\x94\xa8\xe6\x88\xb7@example.org"},
	};
	char address[EMAIL_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_null(email_parse(cases[i][0], address));
		assert_string_equal(address, cases[i][1]);
		/* It is its own. */
		assert_null(email_parse(cases[i][1], address));
		assert_string_equal(address, cases[i][1]);
	}
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"@",
		"ada",
		"ada@",
		"@example.org",
		"ada@example",
		"ada@@example.org",
		"a@b@example.org",
		"ada@example.org.",
		"ada@.example.org",
		"ada@example..org",
		"ada@-example.org",
		"ada@example-.org",
		"ada@exam_ple.org",
		"ada@127.0.0.1",
		"ada@[127.0.0.1]",
		"ada@[IPv6:::1]",
		"\"ada\"@example.org",
		".ada@example.org",
		"ada.@example.org",
		"a..da@example.org",
		"a da@example.org",
		" ada@example.org",
		"ada@example.org ",
		"ada@exam ple.org",
		"Ada <ada@example.org>",
		"<ada@example.org>",
		"ada@example.org,bob@example.org",
		"ada,bob@example.org",
		"ada;@example.org",
		"a(comment)da@example.org",
		"ada@example.org\n",
		"ada\r\nBcc: eve@example.org@example.org",
		"ada@example.org\r\nRCPT TO:<eve@example.org>",
		"ada\t@example.org",
		"a\x7f@example.org",
		"a\xc2\x85@example.org",
		"a\xff@example.org",
		"a@\xc0\xaf.example",
		/* No-break space, zero width space, zero width joiner, right-to-left override, line separator, BOM. */
		"a\xc2\xa0@example.org",
		"a\xe2\x80\x8b@example.org",
		"a\xe2\x80\x8d@example.org",
		"a\xe2\x80\xae@example.org",
		"a\xe2\x80\xa8@example.org",
		"\xef\xbb\xbf"
		"ada@example.org",
		/* Private use, and not assigned. */
		"a\xee\x80\x80@example.org",
		"a\xf3\xb0\x80\x80@example.org",
		/* Other at signs are none, and domains that IDNA forbids. */
		"ada\xef\xbc\xa0"
		"example.org",
		"a@\xe2\x80\xaexample.org",
		"a@ex\xe2\x9d\xa4mple.o_g",
		"a@xn--.example",
		"a@xn--a.example",
		"a@xn--zzzzzzzzzzzz.example",
		"a@xn--mller-kva\xc3\xbc.example",
	};
	char address[EMAIL_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		if (email_parse(wrong[i], address) == NULL)
			fail_msg("taken: %s", wrong[i]);
		assert_string_equal(address, "");
	}
}

/* LOCAL times a, @, LABELS of 60 characters and a dot, "org" behind them. */
static void make(char text[2048], size_t local, size_t labels, size_t last)
{
	memset(text, 'a', local);
	text[local++] = '@';
	for (size_t i = 0; i < labels; i++) {
		memset(text + local, 'b', 60);
		local += 60;
		text[local++] = '.';
	}
	memset(text + local, 'c', last);
	text[local + last] = '\0';
}

static void sizes_are_those_of_the_standard(void **state)
{
	char text[2048], address[EMAIL_SIZE];

	(void)state;
	make(text, 64, 3, 6);
	assert_int_equal(strlen(text), EMAIL_MAX);
	assert_null(email_parse(text, address));
	assert_string_equal(address, text);
	make(text, 64, 3, 7);
	assert_string_equal(email_parse(text, address), "is longer than 254 bytes");
	make(text, 65, 1, 3);
	assert_string_equal(email_parse(text, address), "has more than 64 bytes before the @");
	make(text, 1, 1, 63);
	assert_null(email_parse(text, address));
	make(text, 1, 1, 64);
	assert_non_null(email_parse(text, address));
	make(text, 1, 8, 3);
	assert_non_null(email_parse(text, address));
	make(text, 1000, 8, 3);
	assert_non_null(email_parse(text, address));
	/* 22 characters of three bytes. */
	for (size_t i = 0; i < 22; i++)
		memcpy(text + 3 * i, "\xe7\x94\xa8", 3);
	(void)strcpy(text + 66, "@example.org");
	assert_non_null(email_parse(text, address));
	assert_null(email_parse(text + 3, address));
}

static void people_see_the_domain_in_its_language(void **state)
{
	static const char *const cases[][2] = {
		{"a@xn--mller-kva.example", "a@m\xc3\xbcller.example"},
		{"a@xn--fsqu00a.xn--0zwm56d", "a@\xe4\xbe\x8b\xe5\xad\x90.\xe6\xb5\x8b\xe8\xaf\x95"},
		{"Ada@example.org", "Ada@example.org"},
		{"", ""},
		/* Of another program's, in the same column. */
		{"a@xn--zzzzzzzzzzzz.example", "a@xn--zzzzzzzzzzzz.example"},
	};
	char shown[EMAIL_SHOWN_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_string_equal(email_show(cases[i][0], shown), cases[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_has_one_form),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(sizes_are_those_of_the_standard),
		cmocka_unit_test(people_see_the_domain_in_its_language),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
