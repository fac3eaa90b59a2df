/* Texts by key, in several languages. */
#include "http/texts.h"

#include "base/log.h"
#include "http/language.h"

#include <ini.h>
#include <string.h>

/* A paragraph with its markup. */
#define LINE_SIZE 4096
/* inih cuts the name of a section that is longer. */
#define SECTION_MAX 48
#define SENTENCES   "sentences"
#define NAME_KEY    "language.name"
/* As many keys as a warning names. */
#define NAMED_MAX 10

struct entry {
	const char *key;
	struct template_text text;
};

struct texts {
	enum text_owner owner;
	size_t language_count;
	const char *languages[LANGUAGES_MAX];
	const char *names[LANGUAGES_MAX]; /* the text language.name, which each language has for itself; NULL: none */
	const char *paths[LANGUAGES_MAX]; /* the last file of each */
	size_t first;
	size_t count;
	struct entry **all;
};

struct texts *texts_new(TALLOC_CTX *ctx, enum text_owner owner)
{
	struct texts *texts = talloc_zero(ctx, struct texts);

	if (texts != NULL)
		texts->owner = owner;
	return texts;
}

enum text_owner texts_owner(const struct texts *texts)
{
	return texts->owner;
}

/* ---- Reading a file ----------------------------------------------------------------------------------------- */

struct reader {
	struct texts *texts;
	size_t language;
	const char *path;
	const char *at; /* what is before has been read */
	int line;
	bool is_wrong;
	FILE *complaints;
};

/* `what` may be NULL, or is quoted before the problem. */
static void complain(struct reader *reader, const char *what, const char *problem)
{
	reader->is_wrong = true;
	(void)fprintf(reader->complaints, "%s:%d: %s%s%s\n", reader->path, reader->line, what != NULL ? what : "",
	              what != NULL ? ": " : "", problem);
}

static struct entry *find_entry(const struct texts *texts, const char *key, size_t size)
{
	for (size_t i = 0; i < texts->count; i++) {
		struct entry *entry = texts->all[i];

		if (strncmp(entry->key, key, size) == 0 && entry->key[size] == '\0')
			return entry;
	}
	return NULL;
}

/* NULL when out of memory. */
static struct entry *add_entry(struct texts *texts, const char *key)
{
	struct entry **all = talloc_realloc(texts, texts->all, struct entry *, (unsigned)texts->count + 1);
	struct entry *entry = talloc_zero(texts, struct entry);

	if (all != NULL)
		texts->all = all;
	if (all == NULL || entry == NULL)
		return NULL;
	entry->key = talloc_strdup(entry, key);
	entry->text.owner = texts->owner;
	if (entry->key == NULL)
		return NULL;
	all[texts->count++] = entry;
	return entry;
}

static bool is_key(const char *key)
{
	return key[0] != '\0' && key[strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_.")] == '\0';
}

static void set_text(struct reader *reader, const char *key, const char *value)
{
	struct texts *texts = reader->texts;
	struct entry *entry = find_entry(texts, key, strlen(key));
	const char *copy = talloc_strdup(texts, value);
	struct template **place;

	if (strcmp(key, NAME_KEY) == 0 && copy != NULL) {
		texts->names[reader->language] = copy;
		return;
	}
	if (entry == NULL)
		entry = add_entry(texts, key);
	if (entry == NULL || copy == NULL) {
		complain(reader, NULL, "out of memory");
		return;
	}
	place = &entry->text.in[reader->language];
	if (*place != NULL && template_path(*place) == reader->path) {
		complain(reader, key, "is there already, in a line above");
		return;
	}
	*place = template_new(texts, reader->path, reader->line, copy, reader->complaints);
	reader->is_wrong |= *place == NULL;
}

static int take_text(void *user, const char *section, const char *name, const char *value)
{
	struct reader *reader = user;
	char *key = talloc_asprintf(NULL, "%s%s%s", section, section[0] != '\0' ? "." : "", name);

	if (key == NULL)
		complain(reader, NULL, "out of memory");
	else if (!is_key(key) || strlen(section) > SECTION_MAX)
		complain(reader, key, "a key has small letters, digits, _ and . only");
	else
		set_text(reader, key, value);
	talloc_free(key);
	return 1;
}

/* inih asks for lines with this: it would make two of one that is too long. */
static char *next_line(char *buffer, int size, void *stream)
{
	struct reader *reader = stream;
	size_t length = strcspn(reader->at, "\n");

	if (*reader->at == '\0')
		return NULL;
	reader->line++;
	if (length < (size_t)size) {
		memcpy(buffer, reader->at, length);
		buffer[length] = '\0';
	} else {
		buffer[0] = '\0';
		complain(reader, NULL, "longer than 4095 bytes");
	}
	reader->at += length + (reader->at[length] == '\n');
	return buffer;
}

/* inih's settings are variables of its own, which others count on. A semicolon is one in a text. */
static int parse(struct reader *reader)
{
	int wrong_line;

	ini_use_stack = false;
	ini_max_line = LINE_SIZE;
	ini_initial_alloc = LINE_SIZE;
	ini_allow_inline_comments = false;
	ini_allow_multiline = false;
	wrong_line = ini_parse_stream(next_line, reader, take_text, reader);
	ini_allow_inline_comments = true;
	ini_allow_multiline = true;
	return wrong_line;
}

static size_t language_number(const struct texts *texts, const char *language)
{
	size_t number = 0;

	while (number < texts->language_count && strcmp(texts->languages[number], language) != 0)
		number++;
	return number;
}

int texts_read(struct texts *texts, const char *language, const char *path, const char *source, FILE *complaints)
{
	struct reader reader = {.texts = texts, .path = path, .at = source, .complaints = complaints};
	int wrong_line;

	reader.language = language_number(texts, language);
	if (reader.language == LANGUAGES_MAX) {
		(void)fprintf(complaints, "%s: more than %d languages\n", path, LANGUAGES_MAX);
		return -1;
	}
	texts->paths[reader.language] = path;
	if (reader.language == texts->language_count) {
		texts->languages[reader.language] = talloc_strdup(texts, language);
		texts->language_count++;
	}
	wrong_line = texts->languages[reader.language] != NULL ? parse(&reader) : -1;
	if (wrong_line != 0) {
		reader.line = wrong_line;
		complain(&reader, NULL, wrong_line > 0 ? "neither a [section] nor a key = text" : "out of memory");
	}
	return reader.is_wrong ? -1 : 0;
}

/* ---- All of them -------------------------------------------------------------------------------------------- */

/* A language of which there is a text that the first has not, or the other way round: told with the first few keys. */
static void warn(const struct texts *texts, size_t language, size_t count, const char *keys, bool is_unknown)
{
	if (count == 0)
		return;
	log_warning(is_unknown ? "texts_unknown" : "texts_missing", LOG_STR("file", texts->paths[language]),
	            LOG_INT("count", (int64_t)count), LOG_STR("keys", keys),
	            LOG_STR("problem", is_unknown ? "the first language has no such texts, so they are not used"
	                                          : "those of the first language are shown in their place"));
}

static void complete_language(struct texts *texts, size_t language, bool is_unknown)
{
	char *keys = talloc_strdup(texts, "");
	size_t count = 0;

	for (size_t i = 0; i < texts->count; i++) {
		struct template **in = texts->all[i]->text.in;
		const char *key = texts->all[i]->key;

		if (is_unknown ? in[texts->first] != NULL || in[language] == NULL
		               : in[texts->first] == NULL || in[language] != NULL)
			continue;
		in[language] = in[texts->first];
		if (++count <= NAMED_MAX)
			keys = talloc_asprintf_append(keys, "%s%s", count > 1 ? " " : "", key);
	}
	warn(texts, language, count, keys, is_unknown);
	talloc_free(keys);
}

void texts_complete(struct texts *texts)
{
	size_t english = language_find("en", 2, texts->languages, texts->language_count);

	/* Without English, which may have been added last, that of the lowest name. */
	texts->first = english < texts->language_count ? english : 0;
	for (size_t i = 1; i < texts->language_count && english == texts->language_count; i++) {
		if (strcmp(texts->languages[i], texts->languages[texts->first]) < 0)
			texts->first = i;
	}
	for (size_t language = 0; language < texts->language_count; language++) {
		complete_language(texts, language, true);
		complete_language(texts, language, false);
	}
}

static bool is_known(const struct texts *texts, const struct entry *entry)
{
	return entry != NULL && entry->text.in[texts->first] != NULL;
}

int texts_link(const struct texts *texts, const struct template_finder *finder, FILE *complaints)
{
	for (size_t i = 0; i < texts->count; i++) {
		const struct entry *entry = texts->all[i];

		for (size_t language = 0; is_known(texts, entry) && language < texts->language_count; language++) {
			if (template_link(entry->text.in[language], finder, complaints) != 0)
				return -1;
		}
	}
	return 0;
}

size_t texts_languages(const struct texts *texts, const char *const **tags)
{
	*tags = texts->languages;
	return texts->language_count;
}

size_t texts_first(const struct texts *texts)
{
	return texts->first;
}

const struct template_text *texts_find(const struct texts *texts, const char *key, size_t size)
{
	const struct entry *entry = find_entry(texts, key, size);

	return is_known(texts, entry) ? &entry->text : NULL;
}

const char *texts_name(const struct texts *texts, const char *language)
{
	size_t number = language_number(texts, language);

	return number < texts->language_count ? texts->names[number] : NULL;
}

/* What stands behind the section's name; NULL when the text is of another one. */
static const char *key_in(const struct entry *entry, const char *section)
{
	size_t length = strlen(section);

	return strncmp(entry->key, section, length) == 0 && entry->key[length] == '.' ? entry->key + length + 1 : NULL;
}

json_t *texts_section_json(const struct texts *texts, const char *section, size_t language)
{
	json_t *object = json_object();

	for (size_t i = 0; object != NULL && i < texts->count; i++) {
		const struct entry *entry = texts->all[i];
		const char *key = key_in(entry, section);

		if (key != NULL && is_known(texts, entry) &&
		    json_object_set_new(object, key, json_string(template_source(entry->text.in[language]))) != 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

const char *texts_sentence(const struct texts *texts, const char *sentence, size_t language)
{
	for (size_t i = 0; i < texts->count; i++) {
		const struct entry *entry = texts->all[i];

		if (key_in(entry, SENTENCES) != NULL && is_known(texts, entry) &&
		    strcmp(template_source(entry->text.in[texts->first]), sentence) == 0)
			return template_source(entry->text.in[language]);
	}
	return NULL;
}
