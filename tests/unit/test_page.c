#include "base/log.h"
#include "http/page.h"

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

static const struct language *english(const struct pages *pages)
{
	return languages_choose(pages_languages(pages), "en", NULL);
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
		const char *text = pages_render(ctx, pages, names[i], english(pages), values, &size, &has_script);

		assert_non_null(text);
		assert_memory_equal(text, "<!doctype html>", 15);
		assert_string_equal(text + size - 8, "</html>\n");
		assert_null(strstr(text, "{{"));
		assert_int_equal(has_script, strcmp(names[i], "error.html") != 0);
	}
	assert_non_null(pages_file(pages, "style.css", &size));
	assert_non_null(pages_file(pages, "notice.js", &size));
	assert_null(pages_file(pages, "../../Makefile", &size));
	assert_null(pages_render(ctx, pages, "login", english(pages), values, &size, &has_script));
	assert_null(pages_render(ctx, pages, "LOGIN.HTML", english(pages), values, &size, &has_script));
	assert_null(pages_render(ctx, pages, "style.css", english(pages), values, &size, &has_script));
	assert_null(pages_render(ctx, pages, "", english(pages), values, &size, &has_script));
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
	assert_string_equal(pages_render(ctx, pages, "login.html", english(pages), values, &size, &has_script),
	                    "Han unknown device");
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

static void write_texts(const char *name, const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof path, "%s/texts", folder);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof path, "texts/%s", name);
	write_page(path, text);
}

static const char *rendered(TALLOC_CTX *ctx, const struct pages *pages, const char *name, const char *language)
{
	const struct languages *languages = pages_languages(pages_having(pages, name));
	json_t *values = json_pack("{s:s}", "v", "<v>");
	bool has_script;
	size_t size;
	char *text =
		pages_render(ctx, pages, name, languages_choose(languages, language, NULL), values, &size, &has_script);

	json_decref(values);
	return text;
}

static void texts_of_a_folder_take_the_place_of_built_in_ones(void **state)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *complaints = NULL;
	struct pages *pages;

	(void)state;
	write_page("login.html", "{{@login.title}} {{@own.text}} {{@login.password}}");
	write_texts("en.ini", "[own]\ntext = own {{v}}\n");
	write_texts("de.ini", "[own]\ntext = eigen\n[login]\ntitle = Eintreten\n");
	write_texts("fr.ini", "[login]\ntitle = Entrer\n[language]\nname = fr\n");
	pages = load(ctx, folder, &complaints);
	assert_string_equal(complaints, "");
	assert_non_null(pages);
	assert_string_equal(rendered(ctx, pages, "login.html", "en"), "Sign in own &lt;v&gt; Password");
	assert_string_equal(rendered(ctx, pages, "login.html", "de"), "Eintreten eigen Passwort");
	assert_string_equal(rendered(ctx, pages, "login.html", "fr"), "Entrer own &lt;v&gt; Password");
	free(complaints);
	talloc_free(ctx);
}

static struct pages *load_module(TALLOC_CTX *ctx, const struct pages *daemons, char **complaints)
{
	size_t size;
	FILE *stream = open_memstream(complaints, &size);
	struct pages *pages;

	assert_non_null(stream);
	pages = pages_load_module(ctx, daemons, "module x: pages", folder, stream);
	assert_int_equal(fclose(stream), 0);
	return pages;
}

static void module_has_texts_and_languages_of_its_own(void **state)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *complaints = NULL, *of_daemons = NULL;
	struct pages *daemons = load(ctx, "", &of_daemons);
	const struct language *italian;
	struct pages *pages;

	(void)state;
	write_page("film.html", "{{language}} {{@film.title}} {{@login.password}} {{>front.html}}");
	write_texts("it.ini", "[film]\ntitle = Un film\n[sentences]\na = Prima.\n");
	write_texts("de.ini", "[film]\ntitle = Ein Film\n[sentences]\na = Erst.\n");
	pages = load_module(ctx, daemons, &complaints);
	assert_string_equal(complaints, "");
	assert_non_null(pages);
	assert_string_equal(rendered(ctx, pages, "film.html", "de-AT"),
	                    "de Ein Film Passwort <a href=\"/\">Zur Startseite</a>");
	assert_string_equal(rendered(ctx, pages, "film.html", "it"),
	                    "it Un film Password <a href=\"/\">Go to the front page</a>");
	/* Without English the first is that of the lowest name. */
	assert_memory_equal(rendered(ctx, pages, "film.html", "zh"), "de ", 3);
	assert_ptr_equal(pages_having(pages, "login.html"), daemons);
	italian = languages_choose(pages_languages(pages), "it", NULL);
	assert_string_equal(pages_say(ctx, pages, "film.title", italian, NULL), "Un film");
	assert_string_equal(pages_say(ctx, pages, "wait.one", italian, NULL), "one minute");
	assert_null(pages_say(ctx, pages, "film.none", italian, NULL));
	assert_string_equal(pages_sentence(pages, italian, "Erst."), "Prima.");
	assert_string_equal(pages_sentence(pages, languages_choose(pages_languages(daemons), "de", NULL),
	                                   "This account is closed."),
	                    "Dieses Konto ist geschlossen.");
	assert_string_equal(pages_sentence(pages, italian, "Something else."), "Something else.");
	free(complaints);
	free(of_daemons);
	talloc_free(ctx);
}

static void module_whose_texts_are_wrong_is_refused(void **state)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *complaints = NULL, *of_daemons = NULL, expected[200];
	struct pages *daemons = load(ctx, "", &of_daemons);

	(void)state;
	write_page("film.html", "{{@film.title}}\n{{@film.subtitle}}\n");
	write_texts("en.ini", "[film]\ntitle = A film\n");
	write_texts("de.ini", "[film]\ntitle = Ein Film\nsubtitle = Nur hier\n");
	assert_null(load_module(ctx, daemons, &complaints));
	(void)snprintf(expected, sizeof expected, "%s/film.html:2: {{@film.subtitle}}: there is no such text\n",
	               folder);
	assert_string_equal(complaints, expected);
	free(complaints);
	write_texts("en.ini", "[film]\ntitle = A film\nsubtitle = {{>none.html}}\n");
	assert_null(load_module(ctx, daemons, &complaints));
	(void)snprintf(expected, sizeof expected, "%s/texts/en.ini:3: {{>none.html}}: there is no such page\n", folder);
	assert_string_equal(complaints, expected);
	free(complaints);
	write_texts("en.ini", "[film]\ntitle = {{@film.title}}\nsubtitle = x\n");
	assert_null(load_module(ctx, daemons, &complaints));
	(void)snprintf(expected, sizeof expected, "%s/texts/en.ini:2: {{@film.title}}: that text would be in itself\n",
	               folder);
	assert_string_equal(complaints, expected);
	free(complaints);
	write_texts("en.ini", "title = \xff\n");
	assert_null(load_module(ctx, daemons, &complaints));
	(void)snprintf(expected, sizeof expected, "%s/texts/en.ini:1: not UTF-8\n", folder);
	assert_string_equal(complaints, expected);
	free(complaints);
	free(of_daemons);
	talloc_free(ctx);
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
		cmocka_unit_test(built_in_pages_are_whole),
		cmocka_unit_test_setup_teardown(files_of_a_folder_take_the_place_of_built_in_ones, make_folder,
	                                        remove_folder),
		cmocka_unit_test_setup_teardown(broken_files_are_refused, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(texts_of_a_folder_take_the_place_of_built_in_ones, make_folder,
	                                        remove_folder),
		cmocka_unit_test_setup_teardown(module_has_texts_and_languages_of_its_own, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(module_whose_texts_are_wrong_is_refused, make_folder, remove_folder),
		cmocka_unit_test(folder_that_is_not_there_is_refused),
		cmocka_unit_test_setup_teardown(file_of_another_name_is_logged, make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
