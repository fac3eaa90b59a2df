#include "http/languages.h"
#include "http/texts.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static char *complaints;

/* Reads a file's text, with what is wrong in `complaints`. */
static int read_file(struct texts *texts, const char *language, const char *path, const char *source)
{
	size_t size;
	FILE *stream;
	int result;

	free(complaints);
	stream = open_memstream(&complaints, &size);
	assert_non_null(stream);
	result = texts_read(texts, language, path, source, stream);
	assert_int_equal(fclose(stream), 0);
	return result;
}

static void must_read(struct texts *texts, const char *language, const char *source)
{
	if (read_file(texts, language, language, source) != 0)
		fail_msg("%s", complaints);
	assert_string_equal(complaints, "");
}

static void assert_text(const struct texts *texts, size_t language, const char *key, const char *expected)
{
	const struct template_text *text = texts_find(texts, key, strlen(key));

	if (text == NULL)
		fail_msg("there is no text %s", key);
	assert_string_equal(template_source(text->in[language]), expected);
}

static void assert_refused(const char *source, const char *expected)
{
	struct texts *texts = texts_new(NULL, TEXT_MODULES);

	assert_int_equal(read_file(texts, "en", "en.ini", source), -1);
	assert_string_equal(complaints, expected);
	talloc_free(texts);
}

static int forget(void **state)
{
	(void)state;
	free(complaints);
	complaints = NULL;
	return 0;
}

static void texts_are_called_by_section_and_key(void **state)
{
	struct texts *texts = texts_new(NULL, TEXT_DAEMONS);

	(void)state;
	must_read(texts, "en",
	          "; a comment\ntop = Top\r\n[films]\ntitle=My films\n  indented  =  in space  \n\n"
	          "[films.new]\ntitle = A film: it is \"new\"; [really] = so ; it is # all\nnone =");
	texts_complete(texts);
	assert_text(texts, 0, "top", "Top");
	assert_text(texts, 0, "films.title", "My films");
	assert_text(texts, 0, "films.indented", "in space");
	assert_text(texts, 0, "films.new.title", "A film: it is \"new\"; [really] = so ; it is # all");
	assert_text(texts, 0, "films.new.none", "");
	assert_null(texts_find(texts, "title", 5));
	assert_null(texts_find(texts, "films", 5));
	assert_null(texts_find(texts, "", 0));
	/* The key need not end there. */
	assert_non_null(texts_find(texts, "topping", 3));
	talloc_free(texts);
}

static void later_file_takes_the_place_of_an_earlier_one(void **state)
{
	struct texts *texts = texts_new(NULL, TEXT_DAEMONS);

	(void)state;
	must_read(texts, "en", "a = one\nb = two\n");
	assert_int_equal(read_file(texts, "en", "other/en.ini", "b = own\nc = more\n"), 0);
	texts_complete(texts);
	assert_text(texts, 0, "a", "one");
	assert_text(texts, 0, "b", "own");
	assert_text(texts, 0, "c", "more");
	talloc_free(texts);
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
	char *longest = malloc(5000);

	(void)state;
	assert_refused("a = b\n\nnonsense\n", "en.ini:3: neither a [section] nor a key = text\n");
	assert_refused("[films\na = b\n", "en.ini:1: neither a [section] nor a key = text\n");
	assert_refused("a = 1\n[s]\na = 2\na = 3\n", "en.ini:4: s.a: is there already, in a line above\n");
	assert_refused("My Key = 1\n", "en.ini:1: My Key: a key has small letters, digits, _ and . only\n");
	assert_refused("= 1\n", "en.ini:1: : a key has small letters, digits, _ and . only\n");
	assert_refused("[a b]\nc = 1\n", "en.ini:2: a b.c: a key has small letters, digits, _ and . only\n");
	assert_refused("a = 1\nb = {{#c}}\n", "en.ini:2: {{#c}} is never closed\n");
	assert_refused("a = 1\nb = {{{c}}}\n", "en.ini:2: {{{c}}: a name has letters, digits and _ only\n");
	assert_non_null(longest);
	memset(longest, 'x', 4999);
	memcpy(longest, "a = 1\nb = ", 10);
	longest[4999] = '\0';
	assert_refused(longest, "en.ini:2: longer than 4095 bytes\n");
	free(longest);
}

static void first_language_stands_in_for_another(void **state)
{
	struct texts *texts = texts_new(NULL, TEXT_DAEMONS);
	const char *const *tags;

	(void)state;
	must_read(texts, "de", "a = eins\nc = drei\n");
	must_read(texts, "en", "a = one\nb = two\n");
	texts_complete(texts);
	assert_int_equal(texts_languages(texts, &tags), 2);
	assert_string_equal(tags[texts_first(texts)], "en");
	assert_text(texts, 0, "a", "eins");
	assert_text(texts, 1, "a", "one");
	assert_text(texts, 0, "b", "two");
	/* What the first has not is no text. */
	assert_null(texts_find(texts, "c", 1));
	talloc_free(texts);
}

static void first_language_without_english_is_that_of_the_lowest_name(void **state)
{
	struct texts *texts = texts_new(NULL, TEXT_DAEMONS);

	(void)state;
	must_read(texts, "fr", "a = un\n");
	must_read(texts, "de", "a = eins\n");
	must_read(texts, "zh-Hans", "a = x\n");
	texts_complete(texts);
	assert_int_equal(texts_first(texts), 1);
	talloc_free(texts);
}

static void more_languages_than_there_is_room_for_are_refused(void **state)
{
	struct texts *texts = texts_new(NULL, TEXT_DAEMONS);
	char language[3] = "aa";

	(void)state;
	for (int i = 0; i < LANGUAGES_MAX; i++) {
		language[0] = (char)('a' + i / 26);
		language[1] = (char)('a' + i % 26);
		must_read(texts, language, "a = 1\n");
	}
	assert_int_equal(read_file(texts, "zz", "zz.ini", "a = 1\n"), -1);
	assert_string_equal(complaints, "zz.ini: more than 32 languages\n");
	texts_complete(texts);
	assert_text(texts, LANGUAGES_MAX - 1, "a", "1");
	talloc_free(texts);
}

static void sentence_of_the_first_language_is_found_in_another(void **state)
{
	struct texts *texts = texts_new(NULL, TEXT_DAEMONS);

	(void)state;
	must_read(texts, "de", "other = Anders.\n[sentences]\nfull = Voll.\n");
	must_read(texts, "en", "other = Other.\n[sentences]\nfull = It is full.\nlone = Only here.\n");
	texts_complete(texts);
	assert_string_equal(texts_sentence(texts, "It is full.", 0), "Voll.");
	assert_string_equal(texts_sentence(texts, "It is full.", 1), "It is full.");
	assert_string_equal(texts_sentence(texts, "Only here.", 0), "Only here.");
	assert_null(texts_sentence(texts, "Voll.", 0));
	assert_null(texts_sentence(texts, "Other.", 0));
	assert_null(texts_sentence(texts, "", 0));
	talloc_free(texts);
}

static void section_is_given_as_it_was_written(void **state)
{
	struct texts *texts = texts_new(NULL, TEXT_DAEMONS);
	json_t *section, *expected = json_pack("{s:s, s:s}", "a", "eins {{x}}", "b", "two");

	(void)state;
	must_read(texts, "de", "[n]\na = eins {{x}}\n[m]\na = andere\n");
	must_read(texts, "en", "[n]\na = one {{x}}\nb = two\n[m]\na = others\n");
	texts_complete(texts);
	section = texts_section_json(texts, "n", 0);
	assert_true(json_equal(section, expected));
	json_decref(section);
	json_decref(expected);
	section = texts_section_json(texts, "none", 0);
	assert_int_equal(json_object_size(section), 0);
	json_decref(section);
	talloc_free(texts);
}

/* ---- The languages of a set --------------------------------------------------------------------------------- */

static struct texts *daemons_texts(TALLOC_CTX *ctx)
{
	struct texts *texts = texts_new(ctx, TEXT_DAEMONS);

	must_read(texts, "de", "name_label = Name\n[language]\nname = Deutsch\n");
	must_read(texts, "en", "name_label = Username\n[language]\nname = English\n");
	must_read(texts, "ja", "name_label = -\n[language]\nname =\n");
	texts_complete(texts);
	return texts;
}

static const char *value_of(const struct language *language, const char *name)
{
	return json_string_value(json_object_get(language->values, name));
}

static void languages_that_are_left_out_are_not_chosen(void **state)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	struct texts *texts = daemons_texts(ctx);
	struct languages *languages = languages_new(ctx, texts, texts);

	(void)state;
	assert_int_equal(languages_count(languages), 2);
	assert_string_equal(languages_choose(languages, NULL, "ja")->tag, "en");
	assert_string_equal(languages_choose(languages, "ja", NULL)->tag, "en");
	assert_string_equal(languages_choose(languages, NULL, "de")->name, "Deutsch");
	talloc_free(ctx);
}

static void choice_comes_before_what_the_browser_prefers(void **state)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	struct texts *texts = daemons_texts(ctx);
	struct languages *languages = languages_new(ctx, texts, texts);

	(void)state;
	assert_string_equal(languages_choose(languages, NULL, NULL)->tag, "en");
	assert_string_equal(languages_choose(languages, "de", "en")->tag, "de");
	assert_string_equal(languages_choose(languages, "de-AT", "en")->tag, "de");
	assert_string_equal(languages_choose(languages, "fr", "de")->tag, "de");
	assert_string_equal(languages_choose(languages, "", "de")->tag, "de");
	talloc_free(ctx);
}

static void module_s_languages_are_its_own_and_the_daemon_s_texts_come_in_the_nearest(void **state)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	struct texts *daemons = daemons_texts(ctx), *own = texts_new(ctx, TEXT_MODULES);
	struct languages *languages;
	const struct language *language;

	(void)state;
	must_read(own, "de-CH", "a = 1\n");
	must_read(own, "fr",
	          "a = 1\n[language]\nname = fran\xc3\xa7"
	          "ais\n");
	must_read(own, "ja", "a = 1\n");
	texts_complete(own);
	languages = languages_new(ctx, daemons, own);
	/* The site has left out Japanese. */
	assert_int_equal(languages_count(languages), 2);
	language = languages_choose(languages, NULL, "fr");
	assert_string_equal(language->name, "fran\xc3\xa7"
	                                    "ais");
	assert_int_equal(language->number.number[TEXT_MODULES], 1);
	assert_int_equal(language->number.number[TEXT_DAEMONS], 1);
	assert_string_equal(value_of(language, "name_label"), "Username");
	/* Without a name of its own it is called by its tag. */
	language = languages_choose(languages, NULL, "en, de;q=0.5");
	assert_string_equal(language->tag, "de-CH");
	assert_string_equal(language->name, "de-CH");
	assert_int_equal(language->number.number[TEXT_DAEMONS], 0);
	assert_string_equal(value_of(language, "name_label"), "Name");
	talloc_free(ctx);
}

static void module_without_texts_has_one_language(void **state)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	struct texts *daemons = daemons_texts(ctx);
	struct languages *languages = languages_new(ctx, daemons, NULL);

	(void)state;
	assert_int_equal(languages_count(languages), 1);
	assert_string_equal(languages_choose(languages, "de", "de")->tag, "en");
	assert_true(json_is_false(json_object_get(languages_choose(languages, NULL, NULL)->values, "has_languages")));
	talloc_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_called_by_section_and_key),
		cmocka_unit_test(later_file_takes_the_place_of_an_earlier_one),
		cmocka_unit_test(what_is_wrong_is_told_with_its_line),
		cmocka_unit_test(first_language_stands_in_for_another),
		cmocka_unit_test(first_language_without_english_is_that_of_the_lowest_name),
		cmocka_unit_test(more_languages_than_there_is_room_for_are_refused),
		cmocka_unit_test(sentence_of_the_first_language_is_found_in_another),
		cmocka_unit_test(section_is_given_as_it_was_written),
		cmocka_unit_test(languages_that_are_left_out_are_not_chosen),
		cmocka_unit_test(choice_comes_before_what_the_browser_prefers),
		cmocka_unit_test(module_s_languages_are_its_own_and_the_daemon_s_texts_come_in_the_nearest),
		cmocka_unit_test(module_without_texts_has_one_language),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}
