#include "http/page.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

static void assert_rendered(const char *page, const struct ones_text *texts, const char *expected)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	size_t size = 0;
	char *text = page_render(ctx, page, texts, &size);

	assert_non_null(text);
	assert_string_equal(text, expected);
	assert_int_equal(size, strlen(expected));
	assert_ptr_equal(talloc_parent(text), ctx);
	talloc_free(ctx);
}

static void names_are_replaced(void **state)
{
	static const struct ones_text texts[] = {
		{"name", "Alice"}, {"nam", "x"}, {"empty", ""}, {"null", NULL}, {NULL, NULL}};

	(void)state;
	assert_rendered("<p>{{name}}</p>", texts, "<p>Alice</p>");
	assert_rendered("{{name}}{{name}} {{nam}}", texts, "AliceAlice x");
	assert_rendered("[{{empty}}{{null}}]", texts, "[]");
	assert_rendered("no names", texts, "no names");
	assert_rendered("", texts, "");
}

static void name_without_a_value_becomes_nothing(void **state)
{
	static const struct ones_text none[] = {{NULL, NULL}};
	static const struct ones_text other[] = {{"name", "Alice"}, {NULL, NULL}};

	(void)state;
	assert_rendered("[{{name}}]", none, "[]");
	assert_rendered("[{{names}}{{nam}}{{ name }}{{}}]", other, "[]");
}

static void markup_in_a_value_is_text(void **state)
{
	static const struct ones_text texts[] = {{"script", "<script>alert(\"1\" + '2') && x</script>"},
	                                         {"entity", "&lt;"},
	                                         {"utf8", "J\xc3\xbcrgen \xf0\x9f\x94\x91"},
	                                         {NULL, NULL}};

	(void)state;
	assert_rendered("<p>{{script}}</p>", texts,
	                "<p>&lt;script&gt;alert(&quot;1&quot; + &#39;2&#39;) &amp;&amp; x&lt;/script&gt;</p>");
	assert_rendered("<input value=\"{{entity}}\">", texts, "<input value=\"&amp;lt;\">");
	assert_rendered("{{utf8}}", texts, "J\xc3\xbcrgen \xf0\x9f\x94\x91");
}

/* Else whoever chooses a value could show another one. */
static void names_in_a_value_are_not_replaced(void **state)
{
	static const struct ones_text texts[] = {
		{"user", "{{secret}}"}, {"open", "{{"}, {"secret", "s3cret"}, {NULL, NULL}};

	(void)state;
	assert_rendered("{{user}}", texts, "{{secret}}");
	assert_rendered("{{open}}secret}}", texts, "{{secret}}");
}

static void braces_that_are_no_name_stay(void **state)
{
	static const struct ones_text texts[] = {{"name", "Alice"}, {NULL, NULL}};

	(void)state;
	assert_rendered("a { color: red } {{name", texts, "a { color: red } {{name");
	assert_rendered("}} {name} {{name}}", texts, "}} {name} Alice");
}

static void long_values_fit(void **state)
{
	char value[5001], expected[5 * 5000 + 3];
	struct ones_text texts[] = {{"v", value}, {NULL, NULL}};

	(void)state;
	memset(value, '&', 5000);
	value[5000] = '\0';
	expected[0] = '[';
	for (size_t i = 0; i < 5000; i++)
		memcpy(expected + 1 + 5 * i, "&amp;", 5);
	memcpy(expected + 1 + 5 * 5000, "]", 2);
	assert_rendered("[{{v}}]", texts, expected);
}

static void pages_are_built_in_by_their_names(void **state)
{
	static const char *const pages[] = {"login.html", "account.html", "error.html"};

	(void)state;
	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
		const char *page = page_find(pages[i]);

		assert_non_null(page);
		assert_memory_equal(page, "<!doctype html>", 15);
		assert_non_null(strstr(page, "</html>"));
	}
	assert_non_null(page_find("style.css"));
	assert_null(page_find("login"));
	assert_null(page_find("LOGIN.HTML"));
	assert_null(page_find("../../Makefile"));
	assert_null(page_find(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_replaced),
		cmocka_unit_test(name_without_a_value_becomes_nothing),
		cmocka_unit_test(markup_in_a_value_is_text),
		cmocka_unit_test(names_in_a_value_are_not_replaced),
		cmocka_unit_test(braces_that_are_no_name_stay),
		cmocka_unit_test(long_values_fit),
		cmocka_unit_test(pages_are_built_in_by_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
