#include "http/urlencoded.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

static TALLOC_CTX *ctx;
static struct urlencoded fields;

static int set_up(void **state)
{
	(void)state;
	ctx = talloc_new(NULL);
	return ctx != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	talloc_free(ctx);
	return 0;
}

static void parse(const char *text)
{
	const char *defect = urlencoded_parse(ctx, text, strlen(text), &fields);

	if (defect != NULL)
		fail_msg("%s: %s", text, defect);
}

static void assert_fields(const char *text, const char *const expected[][2], size_t count)
{
	parse(text);
	assert_int_equal(fields.count, count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(fields.fields[i].name, expected[i][0]);
		assert_string_equal(fields.fields[i].value, expected[i][1]);
	}
}

static void assert_refused(const char *text, size_t size, const char *why)
{
	const char *defect = urlencoded_parse(ctx, text, size, &fields);

	assert_non_null(defect);
	assert_string_equal(defect, why);
}

static void fields_are_decoded_in_their_order(void **state)
{
	static const char *const form[][2] = {
		{"username", "J\xc3\xbcrgen M"}, {"password", "a&b=c+d%e"}, {"next", "/a?b=c"}};
	static const char *const encoded_name[][2] = {{"a b", "\xf0\x9f\x94\x91"}};
	static const char *const values_with_equals[][2] = {{"a", "b=c"}, {"", "d"}};

	(void)state;
	assert_fields("username=J%C3%bcrgen+M&password=a%26b%3Dc%2bd%25e&next=/a?b=c", form, 3);
	assert_fields("a%20b=%F0%9F%94%91", encoded_name, 1);
	assert_fields("a=b=c&=d", values_with_equals, 2);
}

static void field_without_a_value_has_an_empty_one(void **state)
{
	static const char *const expected[][2] = {{"a", ""}, {"b", ""}, {"c", "1"}};

	(void)state;
	assert_fields("a&b=&&&c=1&", expected, 3);
	assert_fields("", NULL, 0);
	assert_fields("&", NULL, 0);
}

/* An escaped & or = is part of the text: it must not make another field. */
static void escapes_are_decoded_after_fields_are_split_and_only_once(void **state)
{
	static const char *const expected[][2] = {{"a", "1&b=2"}, {"c=d", "%41"}};

	(void)state;
	assert_fields("a=1%26b%3D2&c%3Dd=%2541", expected, 2);
	assert_null(urlencoded_get(&fields, "b"));
	assert_null(urlencoded_get(&fields, "c"));
}

static void first_value_of_a_name_counts(void **state)
{
	(void)state;
	parse("a=1&b=2&a=3");
	assert_string_equal(urlencoded_get(&fields, "a"), "1");
	assert_string_equal(urlencoded_get(&fields, "b"), "2");
	assert_null(urlencoded_get(&fields, "A"));
	assert_null(urlencoded_get(&fields, "ab"));
	assert_null(urlencoded_get(&fields, ""));
}

static void only_the_given_size_is_read(void **state)
{
	static const char text[] = {'a', '=', '1', '2', '3'};

	(void)state;
	assert_null(urlencoded_parse(ctx, text, 3, &fields));
	assert_string_equal(urlencoded_get(&fields, "a"), "1");
	assert_null(urlencoded_parse(ctx, text, sizeof text, &fields));
	assert_string_equal(urlencoded_get(&fields, "a"), "123");
	/* An escape is not read past the end. */
	assert_refused("a=%41", 4, "a %-escape is not followed by two hexadecimal digits");
}

static void broken_escapes_are_refused(void **state)
{
	static const char *const broken[] = {"a=%",    "a=%4", "a=%g0",    "a=%0g", "a=% 1",
	                                     "a=%%41", "%=1",  "a=%4&b=1", "a=%-1"};

	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
		assert_refused(broken[i], strlen(broken[i]), "a %-escape is not followed by two hexadecimal digits");
}

static void nul_is_refused_in_any_form(void **state)
{
	(void)state;
	assert_refused("a=b%00c", 7, "a field holds a NUL");
	assert_refused("a%00=b", 6, "a field holds a NUL");
	assert_refused("a=b\0c", 5, "it holds a NUL");
	assert_refused("a=b\0", 4, "it holds a NUL");
}

static void what_is_not_utf8_is_refused(void **state)
{
	static const char *const invalid[] = {"a=%FF", "a=\xff", "%C3=1", "a=%C0%AF", "a=%ED%A0%80", "a=%C3&b=%A9"};

	(void)state;
	for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++)
		assert_refused(invalid[i], strlen(invalid[i]), "a field is not valid UTF-8");
}

static void fields_past_the_hundredth_are_refused(void **state)
{
	char text[2 * (URLENCODED_FIELDS_MAX + 1) + 1] = "";

	(void)state;
	for (int i = 0; i < URLENCODED_FIELDS_MAX; i++)
		memcpy(text + 2 * i, "a&", 3);
	parse(text);
	assert_int_equal(fields.count, URLENCODED_FIELDS_MAX);
	memcpy(text + sizeof text - 3, "b", 2);
	assert_refused(text, strlen(text), "more than 100 fields");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_decoded_in_their_order),
		cmocka_unit_test(field_without_a_value_has_an_empty_one),
		cmocka_unit_test(escapes_are_decoded_after_fields_are_split_and_only_once),
		cmocka_unit_test(first_value_of_a_name_counts),
		cmocka_unit_test(only_the_given_size_is_read),
		cmocka_unit_test(broken_escapes_are_refused),
		cmocka_unit_test(nul_is_refused_in_any_form),
		cmocka_unit_test(what_is_not_utf8_is_refused),
		cmocka_unit_test(fields_past_the_hundredth_are_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
