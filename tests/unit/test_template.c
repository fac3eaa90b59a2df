#include "http/template.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* The templates that {{>NAME}} includes: those of the test, each after its name. */
struct shelf {
	const char *names[40];
	struct template *templates[40];
	size_t count;
};

static struct template *find_on_shelf(void *context, const char *name, size_t size)
{
	const struct shelf *shelf = context;

	for (size_t i = 0; i < shelf->count; i++) {
		if (strlen(shelf->names[i]) == size && memcmp(shelf->names[i], name, size) == 0)
			return shelf->templates[i];
	}
	return NULL;
}

static const struct template_text *find_no_text(void *context, const char *key, size_t size)
{
	(void)context;
	(void)key;
	(void)size;
	return NULL;
}

/* `files`: name, text, name, text..., NULL. The first one, linked; NULL with *complaints (for free()) when it is wrong.
 */
static struct template *read_templates(TALLOC_CTX *ctx, const char *const files[], char **complaints)
{
	struct shelf shelf = {.count = 0};
	const struct template_finder finder = {find_on_shelf, find_no_text, &shelf};
	struct template *first = NULL;
	bool is_right = true;
	size_t size;
	FILE *stream = open_memstream(complaints, &size);

	assert_non_null(stream);
	for (; files[2 * shelf.count] != NULL; shelf.count++) {
		const char *name = files[2 * shelf.count];

		shelf.names[shelf.count] = name;
		shelf.templates[shelf.count] = template_new(ctx, name, 1, files[2 * shelf.count + 1], stream);
		is_right = is_right && shelf.templates[shelf.count] != NULL;
	}
	if (is_right && template_link(shelf.templates[0], &finder, stream) == 0)
		first = shelf.templates[0];
	assert_int_equal(fclose(stream), 0);
	return first;
}

/* `values` as JSON with ' for ". */
static json_t *read_values(const char *values)
{
	char *text = strdup(values);
	json_t *json;

	assert_non_null(text);
	for (char *quote = text; (quote = strchr(quote, '\'')) != NULL;)
		*quote = '"';
	json = json_loads(text, 0, NULL);
	assert_non_null(json);
	free(text);
	return json;
}

static void assert_files_rendered(const char *const files[], const char *values, const char *expected)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	json_t *json = read_values(values);
	char *complaints = NULL;
	const struct template *template = read_templates(ctx, files, &complaints);
	size_t size = 0;
	char *text;

	assert_string_equal(complaints, "");
	assert_non_null(template);
	text = template_render(ctx, template, &(struct template_filling){.values = json}, &size);
	assert_non_null(text);
	assert_string_equal(text, expected);
	assert_int_equal(size, strlen(expected));
	assert_ptr_equal(talloc_parent(text), ctx);
	json_decref(json);
	free(complaints);
	talloc_free(ctx);
}

static void assert_rendered(const char *text, const char *values, const char *expected)
{
	assert_files_rendered((const char *const[]){"page.html", text, NULL}, values, expected);
}

static void assert_files_refused(const char *const files[], const char *expected)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *complaints = NULL;

	assert_null(read_templates(ctx, files, &complaints));
	assert_string_equal(complaints, expected);
	free(complaints);
	talloc_free(ctx);
}

static void assert_refused(const char *text, const char *expected)
{
	assert_files_refused((const char *const[]){"page.html", text, NULL}, expected);
}

static void names_are_replaced(void **state)
{
	const char *values = "{'name': 'Alice', 'nam': 'x', 'empty': '', 'number': -12, 'null': null, 'A_1': 'a'}";

	(void)state;
	assert_rendered("<p>{{name}}</p>", values, "<p>Alice</p>");
	assert_rendered("{{name}}{{name}} {{nam}} {{ A_1 }}", values, "AliceAlice x a");
	assert_rendered("[{{empty}}{{null}}{{number}}]", values, "[-12]");
	assert_rendered("no names }} {name} } {", values, "no names }} {name} } {");
	assert_rendered("", values, "");
	assert_rendered("\n", values, "\n");
}

static void what_has_no_text_becomes_nothing(void **state)
{
	(void)state;
	assert_rendered("[{{name}}]", "{}", "[]");
	assert_rendered("[{{a}}{{b}}{{c}}]", "{'a': true, 'b': {'x': 'y'}, 'c': ['z']}", "[]");
}

static void markup_in_a_value_is_text(void **state)
{
	(void)state;
	assert_rendered("<p>{{v}}</p>", "{'v': '<script>alert(\\'1\\' + 2) && x</script>'}",
	                "<p>&lt;script&gt;alert(&quot;1&quot; + 2) &amp;&amp; x&lt;/script&gt;</p>");
	assert_rendered("<a title='{{v}}'>", "{'v': '\\u0027 onclick='}", "<a title='&#39; onclick='>");
	assert_rendered("{{v}}", "{'v': '&lt;'}", "&amp;lt;");
	assert_rendered("{{v}}", "{'v': 'J\xc3\xbcrgen \xf0\x9f\x94\x91'}", "J\xc3\xbcrgen \xf0\x9f\x94\x91");
}

/* Otherwise a client that chooses one value could have another one shown. */
static void tags_in_a_value_are_text(void **state)
{
	(void)state;
	assert_rendered("{{user}}", "{'user': '{{secret}}{{#secret}}', 'secret': 's3cret'}", "{{secret}}{{#secret}}");
	assert_rendered("{{open}}secret}}", "{'open': '{{', 'secret': 's3cret'}", "{{secret}}");
}

static void sections_are_there_for_what_is_there(void **state)
{
	const char *page = "{{#v}}yes{{/v}}{{^v}}no{{/v}}";

	(void)state;
	assert_rendered(page, "{'v': true}", "yes");
	assert_rendered(page, "{'v': 'text'}", "yes");
	assert_rendered(page, "{'v': {}}", "yes");
	assert_rendered(page, "{'v': 1}", "yes");
	assert_rendered(page, "{'v': [1, 2]}", "yesyes");
	assert_rendered(page, "{'v': false}", "no");
	assert_rendered(page, "{'v': null}", "no");
	assert_rendered(page, "{'v': ''}", "no");
	assert_rendered(page, "{'v': 0}", "no");
	assert_rendered(page, "{'v': []}", "no");
	assert_rendered(page, "{}", "no");
}

static void names_are_looked_up_from_inside_outwards(void **state)
{
	const char *values = "{'name': 'outer', 'only': 'here', 'inner': {'name': 'inner', 'none': null, 'flag': true},"
			     " 'none': 'outer'}";

	(void)state;
	assert_rendered("{{name}} {{#inner}}{{name}} {{only}}{{/inner}} {{name}}", values, "outer inner here outer");
	assert_rendered("{{#inner}}{{#flag}}{{name}}{{/flag}}{{/inner}}", values, "inner");
	/* A name that is null in the inner object is unknown, whatever the outer one has. */
	assert_rendered("{{#inner}}[{{none}}]{{^none}}unknown{{/none}}{{/inner}}", values, "[]unknown");
}

static void lists_are_gone_through(void **state)
{
	const char *values = "{'of': ', ', 'all': [{'n': 1, 'in': [{'n': 'a'}, {'n': 'b'}]}, {'n': 2, 'in': []}]}";

	(void)state;
	assert_rendered("{{#all}}{{n}}{{of}}{{/all}}", values, "1, 2, ");
	assert_rendered("{{#all}}{{n}}({{#in}}{{n}}{{/in}}{{^in}}none{{/in}}){{/all}}", values, "1(ab)2(none)");
}

static void tag_with_a_line_to_itself_takes_it_away(void **state)
{
	(void)state;
	assert_rendered("a\n  {{#v}}  \nb\n{{/v}}\nc\n", "{'v': true}", "a\nb\nc\n");
	assert_rendered("{{! first }}\r\na\n{{! last }}\n", "{}", "a\n");
	assert_rendered("{{! over\ntwo lines }}\na\n", "{}", "a\n");
	assert_rendered("a {{#v}}\nb{{/v}}\n", "{'v': true}", "a \nb\n");
	assert_rendered("{{#v}}{{/v}}\n", "{}", "\n");
	assert_rendered("{{name}}\n", "{}", "\n");
}

static void pages_include_others(void **state)
{
	static const char *const nested[] = {"a.html",   "[{{>b-1.html}}] {{#in}}{{>c_2.html}}{{/in}}\n",
	                                     "b-1.html", "b {{>c_2.html}}\n",
	                                     "c_2.html", "c={{x}}\n",
	                                     NULL};

	(void)state;
	assert_files_rendered(nested, "{'x': 1, 'in': {'x': 2}}", "[b c=1] c=2\n");
}

static void mistakes_are_told_with_their_lines(void **state)
{
	static const char *const missing[] = {"a.html", "\n{{>b.html}}", NULL};
	static const char *const itself[] = {"a.html", "{{>b.html}}", "b.html", "x\n\n{{>a.html}}", NULL};

	(void)state;
	assert_refused("a\n{{#v}}\n{{#w}}{{/w}}\n", "page.html:2: {{#v}} is never closed\n");
	assert_refused("{{^v}}", "page.html:1: {{^v}} is never closed\n");
	assert_refused("\n\n{{/v}}", "page.html:3: {{/v}} closes nothing\n");
	assert_refused("{{#a}}\n{{#b}}\n{{/a}}{{/b}}",
	               "page.html:3: {{/a}} where {{/b}} would close what line 2 opens\n");
	assert_refused("a { color: red } {{name", "page.html:1: {{ without }} in the same line\n");
	assert_refused("{{name\n}}", "page.html:1: {{ without }} in the same line\n");
	assert_refused("{{}}", "page.html:1: {{}}: a name has letters, digits and _ only\n");
	assert_refused("{{#}}{{/}}", "page.html:1: {{#}}: a name has letters, digits and _ only\n");
	assert_refused("{{a b}}", "page.html:1: {{a b}}: a name has letters, digits and _ only\n");
	assert_refused("{{{raw}}}", "page.html:1: {{{raw}}: a name has letters, digits and _ only\n");
	assert_refused("{{a.b}}", "page.html:1: {{a.b}}: a name has letters, digits and _ only\n");
	assert_refused("{{@a-b}}", "page.html:1: {{@a-b}}: a name has letters, digits and _ only\n");
	assert_refused("\n{{@a.b}}", "page.html:2: {{@a.b}}: there is no such text\n");
	assert_files_refused(missing, "a.html:2: {{>b.html}}: there is no such page\n");
	assert_files_refused(itself, "b.html:3: {{>a.html}}: that page would be in itself\n");
}

/* A text "said" and a text "deep" that has it, in two languages each. */
static const struct template_text *find_said(void *context, const char *key, size_t size)
{
	struct template_text *texts = context;

	if (size == 4 && memcmp(key, "said", size) == 0)
		return &texts[0];
	return size == 4 && memcmp(key, "deep", size) == 0 ? &texts[1] : NULL;
}

static struct template *find_no_page(void *context, const char *name, size_t size)
{
	(void)context;
	(void)name;
	(void)size;
	return NULL;
}

static void texts_are_those_of_the_language(void **state)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	struct template_text texts[2] = {{.owner = TEXT_DAEMONS}, {.owner = TEXT_MODULES}};
	const struct template_finder finder = {find_no_page, find_said, texts};
	struct template *page = template_new(ctx, "p", 1, "<p>{{@deep}}</p>\n", stderr);
	json_t *values = json_pack("{s:s}", "v", "<b>");
	struct template_filling filling = {.values = values};
	size_t size;

	(void)state;
	texts[0].in[0] = template_new(ctx, "en", 1, "one {{v}}", stderr);
	texts[0].in[1] = template_new(ctx, "de", 1, "<i>{{v}}</i> eins", stderr);
	texts[1].in[0] = template_new(ctx, "fr", 1, "{{@said}}!", stderr);
	texts[1].in[1] = template_new(ctx, "it", 1, "{{#none}}x{{/none}}{{@said}}?", stderr);
	assert_int_equal(template_link(page, &finder, stderr), 0);
	assert_string_equal(template_render(ctx, page, &filling, &size), "<p>one &lt;b&gt;!</p>\n");
	filling.language.number[TEXT_DAEMONS] = 1;
	assert_string_equal(template_render(ctx, page, &filling, &size), "<p><i>&lt;b&gt;</i> eins!</p>\n");
	filling.language.number[TEXT_MODULES] = 1;
	filling.is_plain = true;
	assert_string_equal(template_render(ctx, page, &filling, &size), "<p><i><b></i> eins?</p>\n");
	json_decref(values);
	talloc_free(ctx);
}

static void values_of_every_page_come_first(void **state)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	json_t *always = json_pack("{s:s}", "a", "always");
	json_t *values = json_pack("{s:s, s:s, s:{s:s}}", "a", "own", "b", "own", "in", "a", "inner");
	const struct template_filling filling = {.always = always, .values = values};
	struct template *page = template_new(ctx, "p", 1, "{{a}} {{b}} {{#in}}{{a}}{{/in}}", stderr);
	size_t size;

	(void)state;
	assert_string_equal(template_render(ctx, page, &filling, &size), "always own inner");
	json_decref(always);
	json_decref(values);
	talloc_free(ctx);
}

static void depth_is_bounded(void **state)
{
	char names[33][8], texts[33][16];
	const char *files[2 * 33 + 1];

	(void)state;
	for (size_t i = 0; i < 33; i++) {
		(void)snprintf(names[i], sizeof names[i], "p%zu", i);
		(void)snprintf(texts[i], sizeof texts[i], "{{>p%zu}}", i + 1);
		files[2 * i] = names[i];
		files[2 * i + 1] = i < 32 ? texts[i] : "{{#a}}x{{/a}}";
	}
	files[66] = NULL;
	assert_files_refused(files, "p0: more than 32 sections and pages in each other\n");
	files[2 * 32 + 1] = "x";
	assert_files_rendered(files, "{}", "x");
}

static void output_is_bounded(void **state)
{
	static const char *const loop[] = {
		"a", "{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}.{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}", NULL};
	TALLOC_CTX *ctx = talloc_new(NULL);
	json_t *values = read_values("{'l': [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}");
	char *complaints = NULL;
	const struct template *template = read_templates(ctx, loop, &complaints);
	size_t size;

	(void)state;
	assert_non_null(template);
	assert_null(template_render(ctx, template, &(struct template_filling){.values = values}, &size));
	json_decref(values);
	free(complaints);
	talloc_free(ctx);
}

static void long_values_fit(void **state)
{
	char values[5100], expected[5 * 5000 + 3];

	(void)state;
	(void)snprintf(values, sizeof values, "{'v': '%05000d'}", 0);
	for (char *zero = values; (zero = strchr(zero, '0')) != NULL;)
		*zero = '&';
	expected[0] = '[';
	for (size_t i = 0; i < 5000; i++)
		memcpy(expected + 1 + 5 * i, "&amp;", 5);
	memcpy(expected + 1 + 5 * 5000, "]", 2);
	assert_rendered("[{{v}}]", values, expected);
}

static void scripts_are_seen_through_what_is_included(void **state)
{
	static const char *const with[] = {"a", "{{>b}}", "b", "{{#never}}<script src=x></script>{{/never}}", NULL};
	static const char *const without[] = {"a", "{{>b}}", "b", "<p>script", NULL};
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *complaints = NULL;

	(void)state;
	assert_true(template_has_script(read_templates(ctx, with, &complaints)));
	free(complaints);
	assert_false(template_has_script(read_templates(ctx, without, &complaints)));
	free(complaints);
	talloc_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_replaced),
		cmocka_unit_test(what_has_no_text_becomes_nothing),
		cmocka_unit_test(markup_in_a_value_is_text),
		cmocka_unit_test(tags_in_a_value_are_text),
		cmocka_unit_test(sections_are_there_for_what_is_there),
		cmocka_unit_test(names_are_looked_up_from_inside_outwards),
		cmocka_unit_test(lists_are_gone_through),
		cmocka_unit_test(tag_with_a_line_to_itself_takes_it_away),
		cmocka_unit_test(pages_include_others),
		cmocka_unit_test(mistakes_are_told_with_their_lines),
		cmocka_unit_test(texts_are_those_of_the_language),
		cmocka_unit_test(values_of_every_page_come_first),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(output_is_bounded),
		cmocka_unit_test(long_values_fit),
		cmocka_unit_test(scripts_are_seen_through_what_is_included),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
