#include "base/log.h"
#include "http/page.h"
#include "http/template.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- The language ------------------------------------------------------------------------------------------- */

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

/* `files`: name, text, name, text..., NULL. The first one, linked; NULL with *complaints (for free()) when it is wrong.
 */
static struct template *read_templates(TALLOC_CTX *ctx, const char *const files[], char **complaints)
{
	struct shelf shelf = {.count = 0};
	struct template *first = NULL;
	bool is_right = true;
	size_t size;
	FILE *stream = open_memstream(complaints, &size);

	assert_non_null(stream);
	for (; files[2 * shelf.count] != NULL; shelf.count++) {
		const char *name = files[2 * shelf.count];

		shelf.names[shelf.count] = name;
		shelf.templates[shelf.count] = template_new(ctx, name, files[2 * shelf.count + 1], stream);
		is_right = is_right && shelf.templates[shelf.count] != NULL;
	}
	if (is_right && template_link(shelf.templates[0], find_on_shelf, &shelf, stream) == 0)
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
	text = template_render(ctx, template, json, &size);
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
	assert_files_refused(missing, "a.html:2: {{>b.html}}: there is no such page\n");
	assert_files_refused(itself, "b.html:3: {{>a.html}}: that page would be in itself\n");
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
	assert_null(template_render(ctx, template, values, &size));
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

/* ---- The built-in pages, and a folder of one's own ---------------------------------------------------------- */

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof folder, "/tmp/ones-pages-XXXXXX");
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command);
}

static void write_page(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Returns the pages, and the complaints about them as text to free. */
static struct pages *load(TALLOC_CTX *ctx, const char *from, char **complaints)
{
	size_t size;
	FILE *stream = open_memstream(complaints, &size);
	struct pages *pages;

	assert_non_null(stream);
	pages = pages_load(ctx, from, stream);
	assert_int_equal(fclose(stream), 0);
	return pages;
}

/* `expected` follows the folder's path. */
static void assert_folder_refused(const char *expected)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *complaints = NULL;

	assert_null(load(ctx, folder, &complaints));
	assert_memory_equal(complaints, folder, strlen(folder));
	assert_string_equal(complaints + strlen(folder), expected);
	free(complaints);
	talloc_free(ctx);
}

static void built_in_pages_are_whole(void **state)
{
	static const char *const names[] = {"account.html", "error.html", "login.html", "sessions.html",
	                                    "takeover.html"};
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *complaints = NULL;
	struct pages *pages = load(ctx, "", &complaints);
	json_t *values = json_object();
	bool has_script;
	size_t size;

	(void)state;
	assert_string_equal(complaints, "");
	assert_non_null(pages);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const char *text = pages_render(ctx, pages, names[i], values, &size, &has_script);

		assert_non_null(text);
		assert_memory_equal(text, "<!doctype html>", 15);
		assert_string_equal(text + size - 8, "</html>\n");
		assert_null(strstr(text, "{{"));
		assert_int_equal(has_script, strcmp(names[i], "error.html") != 0);
	}
	assert_non_null(pages_file(pages, "style.css", &size));
	assert_non_null(pages_file(pages, "notice.js", &size));
	assert_null(pages_file(pages, "../../Makefile", &size));
	assert_null(pages_render(ctx, pages, "login", values, &size, &has_script));
	assert_null(pages_render(ctx, pages, "LOGIN.HTML", values, &size, &has_script));
	assert_null(pages_render(ctx, pages, "style.css", values, &size, &has_script));
	assert_null(pages_render(ctx, pages, "", values, &size, &has_script));
	json_decref(values);
	free(complaints);
	talloc_free(ctx);
}

static void files_of_a_folder_take_the_place_of_built_in_ones(void **state)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *complaints = NULL;
	struct pages *pages;
	json_t *values = json_object();
	bool has_script;
	size_t size;

	(void)state;
	write_page("login.html", "{{>head.html}}{{>device.html}}");
	write_page("head.html", "H\n");
	write_page("style.css", "a{{b");
	write_page(".login.html.swp", "{{");
	pages = load(ctx, folder, &complaints);
	assert_string_equal(complaints, "");
	assert_non_null(pages);
	assert_string_equal(pages_render(ctx, pages, "login.html", values, &size, &has_script), "Han unknown device");
	assert_false(has_script);
	assert_string_equal(pages_file(pages, "style.css", &size), "a{{b");
	assert_int_equal(size, 4);
	json_decref(values);
	free(complaints);
	talloc_free(ctx);
}

static void broken_files_are_refused(void **state)
{
	char path[128];

	(void)state;
	write_page("login.html", "a\n{{#b}}\n");
	assert_folder_refused("/login.html:2: {{#b}} is never closed\n");
	write_page("login.html", "a\n\xff\n");
	assert_folder_refused("/login.html:2: not UTF-8\n");
	write_page("login.html", "a\n{{>none.html}}\n");
	assert_folder_refused("/login.html:2: {{>none.html}}: there is no such page\n");
	write_page("login.html", "{{>style.css}}\n");
	assert_folder_refused("/login.html:1: {{>style.css}}: there is no such page\n");
	(void)snprintf(path, sizeof path, "%s/login.html", folder);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_folder_refused("/login.html: not a file of at most 1 MiB\n");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("nowhere", path), 0);
	assert_folder_refused("/login.html: No such file or directory\n");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_folder_refused("/login.html: not a file of at most 1 MiB\n");
}

static void folder_that_is_not_there_is_refused(void **state)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *complaints = NULL;

	(void)state;
	assert_null(load(ctx, "/nonexistent/pages", &complaints));
	assert_string_equal(complaints, "login.pages: /nonexistent/pages: No such file or directory\n");
	free(complaints);
	talloc_free(ctx);
}

static void file_of_another_name_is_logged(void **state)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *complaints = NULL;
	char log[128], text[1000] = "";
	FILE *file;

	(void)state;
	write_page("logn.html", "{{");
	(void)snprintf(log, sizeof log, "%s.log", folder);
	assert_int_equal(log_open("test", log, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), 0);
	assert_non_null(load(ctx, folder, &complaints));
	log_close();
	file = fopen(log, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof text - 1, file) > 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(unlink(log), 0);
	assert_non_null(strstr(text, "page_unknown"));
	assert_non_null(strstr(text, "/logn.html"));
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
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(output_is_bounded),
		cmocka_unit_test(long_values_fit),
		cmocka_unit_test(scripts_are_seen_through_what_is_included),
		cmocka_unit_test(built_in_pages_are_whole),
		cmocka_unit_test_setup_teardown(files_of_a_folder_take_the_place_of_built_in_ones, make_folder,
	                                        remove_folder),
		cmocka_unit_test_setup_teardown(broken_files_are_refused, make_folder, remove_folder),
		cmocka_unit_test(folder_that_is_not_there_is_refused),
		cmocka_unit_test_setup_teardown(file_of_another_name_is_logged, make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
