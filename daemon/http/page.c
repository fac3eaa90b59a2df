/* Pages: the built-in ones, a folder that takes their place, and filling them in. */
#include "http/page.h"

#include "base/built_in.h"
#include "base/log.h"
#include "http/language.h"
#include "http/page_files.h"

#include <string.h>

/* The folder among the pages that has the texts, in a file for each language. */
#define TEXTS_FOLDER "texts"
#define TEXTS_ENDING ".ini"

/* The folder that has what mails are made of; their names begin with it. */
#define MAIL_FOLDER  "mail"
#define PLAIN_ENDING ".txt"

/*
 * The Makefile makes pages.inc from the folder handlers/pages: PAGE(symbol, "name") for each file, and
 * TEXTS(symbol, "language") for each of its texts.
 */
#define PAGE(symbol, name)      BUILT_IN(page_##symbol, "handlers/pages/" name);
#define TEXTS(symbol, language) BUILT_IN(texts_##symbol, "handlers/pages/" TEXTS_FOLDER "/" language TEXTS_ENDING);
#include "pages.inc"
#undef PAGE
#undef TEXTS

struct built_in {
	const char *name;
	const char *path;
	const char *text;
};

static const struct built_in built_in[] = {
#define PAGE(symbol, name) {name, name, page_##symbol},
#define TEXTS(symbol, language)
#include "pages.inc"
#undef PAGE
#undef TEXTS
};

static const struct built_in built_in_texts[] = {
#define PAGE(symbol, name)
#define TEXTS(symbol, language) {language, TEXTS_FOLDER "/" language TEXTS_ENDING, texts_##symbol},
#include "pages.inc"
#undef PAGE
#undef TEXTS
};

#define PAGE_COUNT  (sizeof built_in / sizeof built_in[0])
#define TEXTS_COUNT (sizeof built_in_texts / sizeof built_in_texts[0])

struct page {
	const char *name;
	const char *path; /* for complaints */
	const char *text;
	size_t size;               /* of the text; a module's file may have NULs in it */
	struct template *template; /* NULL: sent as it is */
};

struct pages {
	const struct pages *daemons; /* what is not here is there; NULL: these are the daemon's */
	size_t count;
	struct page *all;    /* of the daemon's: in the order of built_in */
	struct texts *texts; /* NULL: a module's without any */
	struct languages *languages;
};

/* NULL when there is none of that name. */
static struct page *find_own(const struct pages *pages, const char *name, size_t size)
{
	for (size_t i = 0; i < pages->count; i++) {
		struct page *page = &pages->all[i];

		if (strlen(page->name) == size && memcmp(page->name, name, size) == 0)
			return page;
	}
	return NULL;
}

static const struct page *find_page(const struct pages *pages, const char *name, size_t size)
{
	const struct page *page = find_own(pages, name, size);

	return page == NULL && pages->daemons != NULL ? find_own(pages->daemons, name, size) : page;
}

static struct template *find_template(void *context, const char *name, size_t size)
{
	const struct page *page = find_page(context, name, size);

	return page != NULL ? page->template : NULL;
}

static const struct template_text *find_text(const struct pages *pages, const char *key, size_t size)
{
	const struct template_text *text = pages->texts != NULL ? texts_find(pages->texts, key, size) : NULL;

	return text == NULL && pages->daemons != NULL ? find_text(pages->daemons, key, size) : text;
}

static const struct template_text *find_text_to_link(void *context, const char *key, size_t size)
{
	return find_text(context, key, size);
}

/* ---- A folder of the operator's, or a module's ------------------------------------------------------------------- */

struct folder {
	struct pages *pages;
	const char *what; /* what complaints about it begin with */
};

static bool is_plain(const struct page *page)
{
	size_t length = strlen(page->name), ending = strlen(PLAIN_ENDING);

	return length > ending && strcmp(page->name + length - ending, PLAIN_ENDING) == 0;
}

static bool is_template(const struct page *page)
{
	return strstr(page->name, ".html") != NULL ||
	       strncmp(page->name, MAIL_FOLDER "/", strlen(MAIL_FOLDER "/")) == 0;
}

/* A module may have pictures among its files. */
static bool is_text(const struct pages *pages, const struct page *page)
{
	return pages->daemons == NULL || is_template(page);
}

/* NULL when out of memory. */
static struct page *add_page(struct pages *pages, const char *name)
{
	struct page *all = talloc_realloc(pages, pages->all, struct page, (unsigned int)pages->count + 1);
	char *copy = talloc_strdup(pages, name);

	if (all == NULL || copy == NULL)
		return NULL;
	pages->all = all;
	all[pages->count] = (struct page){.name = copy, .path = copy, .text = ""};
	return &all[pages->count++];
}

static char *path_of(struct pages *pages, const char *folder, const char *name, FILE *complaints)
{
	char *path = talloc_asprintf(pages, "%s/%s", folder, name);

	if (path == NULL)
		(void)fputs("out of memory\n", complaints);
	return path;
}

/* NULL when it is not that of a file of texts. */
static const char *language_of_file(struct pages *pages, const char *name)
{
	size_t length = strlen(name), ending = strlen(TEXTS_ENDING);
	char *language;

	if (length <= ending || strcmp(name + length - ending, TEXTS_ENDING) != 0)
		return NULL;
	language = talloc_strndup(pages, name, length - ending);
	return language != NULL && language_is_tag(language) ? language : NULL;
}

static int take_texts(void *context, const char *folder, const char *name, FILE *complaints)
{
	struct pages *pages = context;
	char *path = path_of(pages, folder, name, complaints);
	const char *language = language_of_file(pages, name);
	char *source;
	size_t size;

	if (path == NULL)
		return -1;
	if (language == NULL) {
		log_warning("page_unknown", LOG_STR("file", path),
		            LOG_STR("problem", "its name is not that of a language, as de.ini is: it is not used"));
		return 0;
	}
	source = page_file_read(pages, path, true, &size, complaints);
	return source != NULL ? texts_read(pages->texts, language, path, source, complaints) : -1;
}

static int take_texts_folder(const struct folder *folder, const char *path, FILE *complaints)
{
	struct pages *pages = folder->pages;

	if (pages->texts == NULL)
		pages->texts = texts_new(pages, TEXT_MODULES);
	if (pages->texts == NULL) {
		(void)fputs("out of memory\n", complaints);
		return -1;
	}
	return page_folder_read(folder->what, path, take_texts, pages, complaints);
}

/* The file at `path` is the page of that name. */
static int take_page(struct pages *pages, const char *path, const char *name, FILE *complaints)
{
	struct page *page = find_own(pages, name, strlen(name));

	if (page == NULL && pages->daemons == NULL) {
		log_warning("page_unknown", LOG_STR("file", path),
		            LOG_STR("problem", "no page has this name, so it is not used"));
		return 0;
	}
	if (page == NULL)
		page = add_page(pages, name);
	if (page == NULL) {
		(void)fprintf(complaints, "%s: out of memory\n", path);
		return -1;
	}
	page->path = path;
	page->text = page_file_read(pages, path, is_text(pages, page), &page->size, complaints);
	return page->text != NULL ? 0 : -1;
}

static int take_mail(void *context, const char *folder, const char *name, FILE *complaints)
{
	struct pages *pages = context;
	const char *path = path_of(pages, folder, name, complaints);
	const char *full_name = path_of(pages, MAIL_FOLDER, name, complaints);

	return path != NULL && full_name != NULL ? take_page(pages, path, full_name, complaints) : -1;
}

static int take_file(void *context, const char *folder_path, const char *name, FILE *complaints)
{
	const struct folder *folder = context;
	const char *path = path_of(folder->pages, folder_path, name, complaints);

	if (path == NULL)
		return -1;
	if (strcmp(name, TEXTS_FOLDER) == 0)
		return take_texts_folder(folder, path, complaints);
	if (strcmp(name, MAIL_FOLDER) == 0)
		return page_folder_read(folder->what, path, take_mail, folder->pages, complaints);
	return take_page(folder->pages, path, name, complaints);
}

/* ---- Loading -------------------------------------------------------------------------------------------- */

static int read_templates(struct pages *pages, FILE *complaints)
{
	int result = 0;

	for (size_t i = 0; i < pages->count; i++) {
		struct page *page = &pages->all[i];

		if (!is_template(page))
			continue;
		page->template = template_new(pages, page->path, 1, page->text, complaints);
		if (page->template == NULL)
			result = -1;
	}
	return result;
}

static int link_all(struct pages *pages, FILE *complaints)
{
	const struct template_finder finder = {find_template, find_text_to_link, pages};

	for (size_t i = 0; i < pages->count; i++) {
		struct template *template = pages->all[i].template;

		if (template != NULL && template_link(template, &finder, complaints) != 0)
			return -1;
	}
	return pages->texts != NULL ? texts_link(pages->texts, &finder, complaints) : 0;
}

/* What has been read becomes one. */
static int complete(struct pages *pages, FILE *complaints)
{
	const struct pages *daemons = pages->daemons != NULL ? pages->daemons : pages;

	if (pages->texts != NULL)
		texts_complete(pages->texts);
	if (read_templates(pages, complaints) != 0 || link_all(pages, complaints) != 0)
		return -1;
	pages->languages = languages_new(pages, daemons->texts, pages->texts);
	if (pages->languages != NULL)
		return 0;
	(void)fputs("out of memory\n", complaints);
	return -1;
}

/* Those that are built in, as text. */
static int take_built_in(struct pages *pages, FILE *complaints)
{
	pages->all = talloc_zero_array(pages, struct page, PAGE_COUNT);
	pages->texts = texts_new(pages, TEXT_DAEMONS);
	if (pages->all == NULL || pages->texts == NULL) {
		(void)fputs("out of memory\n", complaints);
		return -1;
	}
	pages->count = PAGE_COUNT;
	for (size_t i = 0; i < PAGE_COUNT; i++)
		pages->all[i] = (struct page){.name = built_in[i].name,
		                              .path = built_in[i].path,
		                              .text = built_in[i].text,
		                              .size = strlen(built_in[i].text)};
	for (size_t i = 0; i < TEXTS_COUNT; i++) {
		if (texts_read(pages->texts, built_in_texts[i].name, built_in_texts[i].path, built_in_texts[i].text,
		               complaints) != 0)
			return -1;
	}
	return 0;
}

struct pages *pages_load(TALLOC_CTX *ctx, const char *path, FILE *complaints)
{
	struct pages *pages = talloc_zero(ctx, struct pages);
	struct folder folder = {pages, "login.pages"};

	if (pages == NULL)
		(void)fputs("out of memory\n", complaints);
	else if (take_built_in(pages, complaints) != 0 ||
	         (path[0] != '\0' && page_folder_read(folder.what, path, take_file, &folder, complaints) != 0) ||
	         complete(pages, complaints) != 0)
		TALLOC_FREE(pages);
	return pages;
}

struct pages *pages_load_module(TALLOC_CTX *ctx, const struct pages *daemons, const char *module, const char *path,
                                FILE *complaints)
{
	struct pages *pages = talloc_zero(ctx, struct pages);
	struct folder folder = {pages, module};

	if (pages == NULL) {
		(void)fputs("out of memory\n", complaints);
		return NULL;
	}
	pages->daemons = daemons;
	if (page_folder_read(module, path, take_file, &folder, complaints) != 0 || complete(pages, complaints) != 0)
		TALLOC_FREE(pages);
	return pages;
}

/* ---- Using them ----------------------------------------------------------------------------------------- */

const char *pages_file(const struct pages *pages, const char *name, size_t *size)
{
	const struct page *page = find_page(pages, name, strlen(name));

	if (page == NULL)
		return NULL;
	*size = page->size;
	return page->text;
}

const struct pages *pages_having(const struct pages *pages, const char *name)
{
	return pages->daemons == NULL || find_own(pages, name, strlen(name)) != NULL ? pages : pages->daemons;
}

const struct languages *pages_languages(const struct pages *pages)
{
	return pages->languages;
}

char *pages_render(TALLOC_CTX *ctx, const struct pages *pages, const char *name, const struct language *language,
                   const json_t *values, size_t *size, bool *has_script)
{
	const struct page *page = find_page(pages, name, strlen(name));

	if (page == NULL || page->template == NULL)
		return NULL;
	*has_script = template_has_script(page->template);
	return template_render(ctx, page->template,
	                       &(struct template_filling){.language = language->number,
	                                                  .always = language->values,
	                                                  .values = values,
	                                                  .is_plain = is_plain(page)},
	                       size);
}

bool pages_have_text(const struct pages *pages, const char *key)
{
	return find_text(pages, key, strlen(key)) != NULL;
}

char *pages_say(TALLOC_CTX *ctx, const struct pages *pages, const char *key, const struct language *language,
                const json_t *values)
{
	const struct template_text *text = find_text(pages, key, strlen(key));
	const struct template_filling filling = {
		.language = language->number, .always = language->values, .values = values, .is_plain = true};
	size_t size;

	if (text == NULL)
		return NULL;
	return template_render(ctx, text->in[language->number.number[text->owner]], &filling, &size);
}

const char *pages_sentence(const struct pages *pages, const struct language *language, const char *sentence)
{
	for (; pages != NULL; pages = pages->daemons) {
		/* The language may be one of another set of pages. */
		const struct language *own = languages_choose(pages->languages, language->tag, NULL);
		const char *said = NULL;

		if (pages->texts != NULL)
			said = texts_sentence(pages->texts, sentence, own->number.number[texts_owner(pages->texts)]);
		if (said != NULL)
			return said;
	}
	return sentence;
}

json_t *pages_section_json(const struct pages *pages, const char *section, const struct language *language)
{
	const struct texts *texts = pages->texts != NULL ? pages->texts : pages->daemons->texts;

	return texts_section_json(texts, section, language->number.number[texts_owner(texts)]);
}
