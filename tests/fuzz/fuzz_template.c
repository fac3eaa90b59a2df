/*
 * Up to four pages, separated by lines of "%%", of which the first includes the others by {{>b}}, {{>c}} and {{>d}}, or
 * as texts by {{@b}} and so on, which are the same in both languages that there are.
 * No part of a value becomes markup.
 */
#include "fuzz.h"

#include "http/template.h"

#include <stdlib.h>
#include <string.h>

#define PAGES_MAX 4

struct shelf {
	struct template *pages[PAGES_MAX];
	struct template_text texts[PAGES_MAX];
};

static struct template *find(void *context, const char *name, size_t size)
{
	const struct shelf *shelf = context;

	return size == 1 && name[0] >= 'a' && name[0] < 'a' + PAGES_MAX ? shelf->pages[name[0] - 'a'] : NULL;
}

static const struct template_text *find_text(void *context, const char *key, size_t size)
{
	struct shelf *shelf = context;
	struct template *page = find(context, key, size);
	struct template_text *text;

	if (page == NULL)
		return NULL;
	text = &shelf->texts[key[0] - 'a'];
	text->in[0] = page;
	text->in[1] = page;
	return text;
}

static const json_t *hostile_values(void)
{
	static const char text[] = "{\"s\": \"<script>\\\"'&{{s}}\", \"e\": \"\", \"n\": -42, \"z\": 0, \"t\": true,"
				   " \"f\": false, \"o\": {\"s\": \">\", \"i\": \"'\"}, \"u\": null, \"r\": 1.5,"
				   " \"l\": [{\"i\": \"<1>\"}, {\"i\": \"\\\"2\\\"\"}, \"<3>\"], \"q\": []}";
	static json_t *values;

	if (values == NULL)
		values = json_loads(text, 0, NULL);
	MUST(values != NULL);
	return values;
}

/* Characters of markup that no page contains are not in the output; an & only begins a character reference. */
static void check_output(const char *output, size_t size, const char *source)
{
	static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
	bool had_ampersand = strchr(source, '&') != NULL;

	MUST(strlen(output) == size);
	for (const char *markup = "<>\"'"; *markup != '\0'; markup++)
		MUST(strchr(source, *markup) != NULL || strchr(output, *markup) == NULL);
	for (const char *at = output; !had_ampersand && (at = strchr(at, '&')) != NULL; at++) {
		bool is_entity = false;

		for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++)
			is_entity |= strncmp(at, entities[i], strlen(entities[i])) == 0;
		MUST(is_entity);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[PAGES_MAX] = {"a", "b", "c", "d"};
	static FILE *nowhere;
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *source = fuzz_text(ctx, data, size);
	char *rest = talloc_strdup(ctx, source);
	struct shelf shelf = {.pages = {NULL}};
	const struct template_finder finder = {find, find_text, &shelf};
	const struct template_filling filling = {.language = {{1}}, .values = hostile_values()};
	bool are_all_right = true;

	if (nowhere == NULL)
		nowhere = fopen("/dev/null", "we");
	MUST(ctx != NULL && rest != NULL && nowhere != NULL);
	for (size_t i = 0; i < PAGES_MAX && rest != NULL; i++) {
		char *end = i + 1 < PAGES_MAX ? strstr(rest, "\n%%\n") : NULL;

		if (end != NULL)
			*end = '\0';
		shelf.pages[i] = template_new(ctx, names[i], 1, rest, nowhere);
		are_all_right = are_all_right && shelf.pages[i] != NULL;
		rest = end != NULL ? end + 4 : NULL;
	}
	if (are_all_right && template_link(shelf.pages[0], &finder, nowhere) == 0) {
		size_t output_size = 0;
		char *output = template_render(ctx, shelf.pages[0], &filling, &output_size);

		if (output != NULL)
			check_output(output, output_size, source);
		MUST(!template_has_script(shelf.pages[0]) || strstr(source, "<script") != NULL);
	}
	talloc_free(ctx);
	return 0;
}
