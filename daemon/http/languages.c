/* The languages that a set of pages comes in, and which of them a request gets. */
#include "http/languages.h"

#include "http/accept.h"
#include "http/language.h"

#include <string.h>

struct languages {
	size_t count;
	size_t first;
	const char *tags[LANGUAGES_MAX];
	struct language all[LANGUAGES_MAX];
};

static int free_values(struct languages *languages)
{
	for (size_t i = 0; i < languages->count; i++)
		json_decref(languages->all[i].values);
	return 0;
}

/* The daemon's own number of a language of a module's: of the same, of one that is near to it, or its first. */
static size_t number_in(const struct texts *texts, const char *tag)
{
	const char *const *tags;
	size_t count = texts_languages(texts, &tags);
	size_t number = language_find(tag, strlen(tag), tags, count);

	return number < count ? number : texts_first(texts);
}

/* "" when it is left out. */
static const char *name_of(const struct texts *daemons, const struct texts *own, const char *tag)
{
	const char *daemons_name = texts_name(daemons, tag);
	const char *own_name = texts_name(own, tag);

	if (own_name == NULL || (daemons_name != NULL && daemons_name[0] == '\0'))
		own_name = daemons_name;
	return own_name != NULL ? own_name : tag;
}

static void add(struct languages *languages, const struct texts *daemons, const struct texts *own, size_t number)
{
	struct language *language = &languages->all[languages->count];
	const char *const *tags;

	(void)texts_languages(own, &tags);
	*language = (struct language){.tag = tags[number], .name = name_of(daemons, own, tags[number])};
	language->number.number[TEXT_MODULES] = number;
	language->number.number[TEXT_DAEMONS] = number_in(daemons, language->tag);
	languages->tags[languages->count++] = language->tag;
}

static void add_all(struct languages *languages, const struct texts *daemons, const struct texts *own)
{
	const char *const *tags;
	size_t count = texts_languages(own, &tags);

	for (size_t number = 0; number < count; number++) {
		if (name_of(daemons, own, tags[number])[0] == '\0')
			continue;
		if (number == texts_first(own))
			languages->first = languages->count;
		add(languages, daemons, own, number);
	}
	/* All are left out. */
	if (languages->count == 0)
		add(languages, daemons, own, texts_first(own));
}

/* Pages of a module without texts are in one language, whichever it is. */
static void keep_first(struct languages *languages)
{
	languages->all[0] = languages->all[languages->first];
	languages->tags[0] = languages->tags[languages->first];
	languages->first = 0;
	languages->count = 1;
}

/* Of all of them; empty when there is but one. A new reference, NULL when out of memory. */
static json_t *menu_in(const struct languages *languages, const struct language *language)
{
	json_t *menu = json_array();

	for (size_t i = 0; languages->count > 1 && i < languages->count; i++) {
		const struct language *other = &languages->all[i];

		if (json_array_append_new(menu, json_pack("{s:s, s:s, s:b}", "tag", other->tag, "name", other->name,
		                                          "chosen", other == language)) != 0) {
			json_decref(menu);
			return NULL;
		}
	}
	return menu;
}

/* False when out of memory. */
static bool make_values(const struct languages *languages, struct language *language, const struct texts *daemons)
{
	const struct template_text *label = texts_find(daemons, "name_label", strlen("name_label"));
	const struct template *word = label != NULL ? label->in[language->number.number[TEXT_DAEMONS]] : NULL;

	language->values = json_pack("{s:s, s:o, s:b, s:s}", "language", language->tag, "languages",
	                             menu_in(languages, language), "has_languages", languages->count > 1, "name_label",
	                             word != NULL ? template_source(word) : "");
	return language->values != NULL;
}

struct languages *languages_new(TALLOC_CTX *ctx, const struct texts *daemons, const struct texts *own)
{
	struct languages *languages = talloc_zero(ctx, struct languages);

	if (languages == NULL)
		return NULL;
	talloc_set_destructor(languages, free_values);
	add_all(languages, daemons, own != NULL ? own : daemons);
	if (own == NULL)
		keep_first(languages);
	for (size_t i = 0; i < languages->count; i++) {
		if (!make_values(languages, &languages->all[i], daemons)) {
			talloc_free(languages);
			return NULL;
		}
	}
	return languages;
}

const struct language *languages_choose(const struct languages *languages, const char *chosen, const char *accept)
{
	size_t count = languages->count;
	size_t number = chosen != NULL ? language_find(chosen, strlen(chosen), languages->tags, count) : count;

	if (number == count)
		number = accept_language(accept, languages->tags, count);
	return &languages->all[number < count ? number : languages->first];
}

int languages_add_values(const struct languages *languages, json_t *values)
{
	for (size_t i = 0; i < languages->count; i++) {
		if (json_object_update(languages->all[i].values, values) != 0)
			return -1;
	}
	return 0;
}

size_t languages_count(const struct languages *languages)
{
	return languages->count;
}
