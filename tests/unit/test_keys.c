#include "base/key_from.h"
#include "base/own_cookies.h"
#include "http/authorization.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

static void option_says_where_keys_are(void **state)
{
	static const char *const wrong[] = {"cookie",      "cookie ",       "cookie a b", "cookie a=b", "Bearer",
	                                    "cookie\tsid", "bearer bearer", "sid",        "cookiesid",  " "};
	struct key_from key_from;

	(void)state;
	assert_null(key_from_parse("", &key_from));
	assert_int_equal(key_from.kind, KEY_FROM_NOTHING);
	assert_null(key_from_parse("bearer", &key_from));
	assert_int_equal(key_from.kind, KEY_FROM_BEARER);
	assert_null(key_from_parse("cookie __Host-connect.sid", &key_from));
	assert_int_equal(key_from.kind, KEY_FROM_COOKIE);
	assert_string_equal(key_from.cookie, "__Host-connect.sid");
	assert_null(key_from_parse("cookie   sid", &key_from));
	assert_string_equal(key_from.cookie, "sid");
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_non_null(key_from_parse(wrong[i], &key_from));
}

struct form {
	const char *text;
	bool is_cookie_value, is_token68;
};

static void keys_of_others_are_what_a_request_can_have(void **state)
{
	static const struct form forms[] = {
		{"0123456789abcdef", true, true},
		{"0123456789abcde", false, false},
		{"-._~+/0123456789==", true, true},
		{"=0123456789abcdef", true, false},
		{"0123456789=abcdef", true, false},
		{"================", true, false},
		{"s%3Aabcdefghijklm.n", true, false},
		{"!#$&'()*:<>?@[]^`{|}", true, false},
		{"\"0123456789abcdef\"", true, false},
		{"\"0123456789abcdef", false, false},
		{"0123456789\"abcdef", false, false},
		{"0123456789 abcdef", false, false},
		{"0123456789,abcdef", false, false},
		{"0123456789;abcdef", false, false},
		{"0123456789\\abcdef", false, false},
		{"0123456789\tabcdef", false, false},
		{"0123456789\x7f"
	         "abcdef",
	         false, false},
		{"0123456789\xc3\xa9"
	         "abcdef",
	         false, false},
		{"ost_0123456789abcdef", false, false},
		{"Ost_0123456789abcdef", true, true},
		{"ost-0123456789abcdef", true, true},
	};
	char longest[KEY_OF_OTHERS_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		assert_int_equal(key_is_cookie_value(forms[i].text), forms[i].is_cookie_value);
		assert_int_equal(key_is_token68(forms[i].text), forms[i].is_token68);
	}
	memset(longest, 'x', sizeof longest);
	longest[KEY_OF_OTHERS_MAX + 1] = '\0';
	assert_false(key_is_cookie_value(longest));
	assert_false(key_is_token68(longest));
	longest[KEY_OF_OTHERS_MAX] = '\0';
	assert_true(key_is_cookie_value(longest));
	assert_true(key_is_token68(longest));
}

static void key_can_be_what_stands_where_keys_are_taken_from(void **state)
{
	struct key_from key_from = {0};

	(void)state;
	assert_false(key_from_can_be(&key_from, "0123456789abcdef"));
	key_from.kind = KEY_FROM_COOKIE;
	assert_true(key_from_can_be(&key_from, "s%3Aabcdefghijklm.n"));
	key_from.kind = KEY_FROM_BEARER;
	assert_false(key_from_can_be(&key_from, "s%3Aabcdefghijklm.n"));
	assert_true(key_from_can_be(&key_from, "0123456789abcdef"));
}

static void cookies_of_the_daemon_s_own_have_their_names(void **state)
{
	static const char *const own[] = {
		"onesession",        "__Host-onesession",   "__Secure-onesession",
		"__host-onesession", "onesession_device",   "__Secure-onesession_device",
		"onesession_check",  "onesession_language", "session",
		"__Host-session",    "session_device",
	};
	static const char *const others[] = {"",        "sid",           "Onesession",      "onesessions",
	                                     "__Host-", "session_check", "session_language"};
	char name[OWN_COOKIE_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		assert_true(own_cookies_have("onesession", own[i]));
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(own_cookies_have("onesession", others[i]));
	/* The former names are read beside the default one only. */
	assert_false(own_cookies_have("kino", "session"));
	assert_false(own_cookies_have("kino", "onesession"));
	assert_true(own_cookies_have("kino", "kino_device"));
	own_cookie_name("kino", true, KEY_COOKIE, name);
	assert_string_equal(name, "__Host-kino");
	own_cookie_name("kino", true, DEVICE_COOKIE, name);
	assert_string_equal(name, "__Secure-kino_device");
	own_cookie_name("kino", true, LANGUAGE_COOKIE, name);
	assert_string_equal(name, "kino_language");
	own_cookie_name("kino", false, DEVICE_COOKIE_FORMER, name);
	assert_string_equal(name, "session_device");
}

static bool bearer(const char *field, struct fcgi_text *credentials)
{
	return authorization_bearer((struct fcgi_text){field, strlen(field)}, credentials);
}

static void credentials_stand_behind_their_scheme(void **state)
{
	static const char *const others[] = {"",   "Bearer", "Basic abc", "Bearerabc", "Bearer\tabc", " Bearer abc",
	                                     "abc"};
	static const char cut[] = {'B', 'e', 'a', 'r', 'e', 'r', ' ', 'a', 'b', 'c'};
	struct fcgi_text found;

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(bearer(others[i], &found));
	assert_true(bearer("Bearer abc", &found));
	assert_int_equal(found.length, 3);
	assert_memory_equal(found.at, "abc", 3);
	assert_true(bearer("bEARER    abc def ", &found));
	assert_int_equal(found.length, 8);
	assert_memory_equal(found.at, "abc def ", 8);
	assert_true(bearer("Bearer ", &found));
	assert_int_equal(found.length, 0);
	/* Nothing behind its end is looked at: no NUL ends it. */
	assert_true(authorization_bearer((struct fcgi_text){cut, sizeof cut}, &found));
	assert_int_equal(found.length, 3);
	assert_false(authorization_bearer((struct fcgi_text){cut, 6}, &found));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(option_says_where_keys_are),
		cmocka_unit_test(keys_of_others_are_what_a_request_can_have),
		cmocka_unit_test(key_can_be_what_stands_where_keys_are_taken_from),
		cmocka_unit_test(cookies_of_the_daemon_s_own_have_their_names),
		cmocka_unit_test(credentials_stand_behind_their_scheme),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
