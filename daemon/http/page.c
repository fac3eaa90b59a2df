/* Pages: the built-in ones, a folder that takes their place, and filling them in. */
#include "http/page.h"

#include "base/built_in.h"
#include "base/log.h"
#include "base/utf8.h"
#include "http/template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far more than a page or a style sheet needs. */
#define FILE_MAX ((off_t)1 << 20)

/* The Makefile makes pages.inc from the folder handlers/pages: PAGE(symbol, "name") for each file. */
#define PAGE(symbol, name) BUILT_IN(page_##symbol, "handlers/pages/" name);
#include "pages.inc"
#undef PAGE

static const struct {
	const char *name;
	const char *text;
} built_in[] = {
#define PAGE(symbol, name) {name, page_##symbol},
#include "pages.inc"
#undef PAGE
};

#define PAGE_COUNT (sizeof built_in / sizeof built_in[0])

/* Far more files than a module needs. */
#define MODULE_PAGES_MAX 256

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
	struct page *all; /* of the daemon's: in the order of built_in */
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

/* ---- A folder of the operator's ---------------------------------------------------------------------------------- */

static char *read_all(TALLOC_CTX *ctx, int fd, const char *path, size_t *size, FILE *complaints)
{
	struct stat status;
	size_t used = 0;
	ssize_t got;
	char *text;

	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > FILE_MAX) {
		(void)fprintf(complaints, "%s: not a file of at most 1 MiB\n", path);
		return NULL;
	}
	text = talloc_zero_size(ctx, (size_t)status.st_size + 1);
	if (text == NULL) {
		(void)fprintf(complaints, "%s: out of memory\n", path);
		return NULL;
	}
	while ((got = read(fd, text + used, (size_t)status.st_size - used)) > 0)
		used += (size_t)got;
	*size = used;
	if (got == 0)
		return text;
	(void)fprintf(complaints, "%s: %s\n", path, strerror(errno));
	talloc_free(text);
	return NULL;
}

/* A file in another encoding is found here, and not by its readers. */
static int check_text(const char *text, const char *path, FILE *complaints)
{
	int line = 1;
	size_t size;

	while ((size = utf8_sequence(text)) > 0) {
		if (*text == '\n')
			line++;
		text += size;
	}
	if (*text == '\0')
		return 0;
	(void)fprintf(complaints, "%s:%d: not UTF-8\n", path, line);
	return -1;
}

static bool is_template(const struct page *page)
{
	return strstr(page->name, ".html") != NULL;
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

static int load_file(struct pages *pages, const char *folder, const char *name, FILE *complaints)
{
	struct page *page = find_own(pages, name, strlen(name));
	char *path = talloc_asprintf(pages, "%s/%s", folder, name);
	size_t size = 0;
	char *text;
	int fd;

	if (path == NULL) {
		(void)fputs("out of memory\n", complaints);
		return -1;
	}
	if (page == NULL && pages->daemons != NULL)
		page = add_page(pages, name);
	if (page == NULL && pages->daemons != NULL) {
		(void)fprintf(complaints, "%s: out of memory\n", path);
		return -1;
	}
	if (page == NULL) {
		log_warning("page_unknown", LOG_STR("file", path),
		            LOG_STR("problem", "no page has this name, so it is not used"));
		return 0;
	}
	/* Also of a FIFO the open does not block. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		(void)fprintf(complaints, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	text = read_all(pages, fd, path, &size, complaints);
	(void)close(fd);
	if (text == NULL || (is_text(pages, page) && check_text(text, path, complaints) != 0))
		return -1;
	page->path = path;
	page->text = text;
	page->size = size;
	return 0;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int load_folder(struct pages *pages, const char *what, const char *folder, FILE *complaints)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_visible, alphasort);
	int result = 0;

	if (count < 0) {
		(void)fprintf(complaints, "%s: %s: %s\n", what, folder, strerror(errno));
		return -1;
	}
	if (count > MODULE_PAGES_MAX) {
		(void)fprintf(complaints, "%s: %s: more than %d files\n", what, folder, MODULE_PAGES_MAX);
		result = -1;
	}
	for (int i = 0; i < count; i++) {
		if (count <= MODULE_PAGES_MAX && load_file(pages, folder, entries[i]->d_name, complaints) != 0)
			result = -1;
		free(entries[i]);
	}
	free(entries);
	return result;
}

/* ---- Loading -------------------------------------------------------------------------------------------- */

static int read_templates(struct pages *pages, FILE *complaints)
{
	int result = 0;

	for (size_t i = 0; i < pages->count; i++) {
		struct page *page = &pages->all[i];

		if (!is_template(page))
			continue;
		page->template = template_new(pages, page->path, page->text, complaints);
		if (page->template == NULL)
			result = -1;
	}
	return result;
}

static int link_templates(struct pages *pages, FILE *complaints)
{
	for (size_t i = 0; i < pages->count; i++) {
		struct template *template = pages->all[i].template;

		if (template != NULL && template_link(template, find_template, pages, complaints) != 0)
			return -1;
	}
	return 0;
}

struct pages *pages_load(TALLOC_CTX *ctx, const char *folder, FILE *complaints)
{
	struct pages *pages = talloc_zero(ctx, struct pages);

	if (pages != NULL)
		pages->all = talloc_zero_array(pages, struct page, PAGE_COUNT);
	if (pages == NULL || pages->all == NULL) {
		(void)fputs("out of memory\n", complaints);
		talloc_free(pages);
		return NULL;
	}
	pages->count = PAGE_COUNT;
	for (size_t i = 0; i < PAGE_COUNT; i++)
		pages->all[i] = (struct page){.name = built_in[i].name,
		                              .path = built_in[i].name,
		                              .text = built_in[i].text,
		                              .size = strlen(built_in[i].text)};
	if ((folder[0] != '\0' && load_folder(pages, "login.pages", folder, complaints) != 0) ||
	    read_templates(pages, complaints) != 0 || link_templates(pages, complaints) != 0)
		TALLOC_FREE(pages);
	return pages;
}

struct pages *pages_load_module(TALLOC_CTX *ctx, const struct pages *daemons, const char *module, const char *folder,
                                FILE *complaints)
{
	struct pages *pages = talloc_zero(ctx, struct pages);

	if (pages == NULL) {
		(void)fputs("out of memory\n", complaints);
		return NULL;
	}
	pages->daemons = daemons;
	if (load_folder(pages, module, folder, complaints) != 0 || read_templates(pages, complaints) != 0 ||
	    link_templates(pages, complaints) != 0)
		TALLOC_FREE(pages);
	return pages;
}

const char *pages_file(const struct pages *pages, const char *name, size_t *size)
{
	const struct page *page = find_page(pages, name, strlen(name));

	if (page == NULL)
		return NULL;
	*size = page->size;
	return page->text;
}

char *pages_render(TALLOC_CTX *ctx, const struct pages *pages, const char *name, const json_t *values, size_t *size,
                   bool *has_script)
{
	const struct page *page = find_page(pages, name, strlen(name));

	if (page == NULL || page->template == NULL)
		return NULL;
	*has_script = template_has_script(page->template);
	return template_render(ctx, page->template, values, size);
}
