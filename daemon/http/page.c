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

struct page {
	const char *path; /* for complaints */
	const char *text;
	struct template *template; /* NULL: sent as it is */
};

struct pages {
	struct page all[PAGE_COUNT]; /* in the order of built_in */
};

/* The number of the page, PAGE_COUNT when there is none of that name. */
static size_t number_of(const char *name, size_t size)
{
	size_t number = 0;

	while (number < PAGE_COUNT &&
	       (strlen(built_in[number].name) != size || memcmp(built_in[number].name, name, size) != 0))
		number++;
	return number;
}

static struct template *find_template(void *context, const char *name, size_t size)
{
	struct pages *pages = context;
	size_t number = number_of(name, size);

	return number < PAGE_COUNT ? pages->all[number].template : NULL;
}

/* ---- A folder of the operator's ---------------------------------------------------------------------------------- */

static char *read_all(TALLOC_CTX *ctx, int fd, const char *path, FILE *complaints)
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

static int load_file(struct pages *pages, const char *folder, const char *name, FILE *complaints)
{
	size_t number = number_of(name, strlen(name));
	char *path = talloc_asprintf(pages, "%s/%s", folder, name);
	char *text;
	int fd;

	if (path == NULL) {
		(void)fputs("out of memory\n", complaints);
		return -1;
	}
	if (number == PAGE_COUNT) {
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
	text = read_all(pages, fd, path, complaints);
	(void)close(fd);
	if (text == NULL || check_text(text, path, complaints) != 0)
		return -1;
	pages->all[number].path = path;
	pages->all[number].text = text;
	return 0;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int load_folder(struct pages *pages, const char *folder, FILE *complaints)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_visible, alphasort);
	int result = 0;

	if (count < 0) {
		(void)fprintf(complaints, "login.pages: %s: %s\n", folder, strerror(errno));
		return -1;
	}
	for (int i = 0; i < count; i++) {
		if (load_file(pages, folder, entries[i]->d_name, complaints) != 0)
			result = -1;
		free(entries[i]);
	}
	free(entries);
	return result;
}

/* ---- Loading -------------------------------------------------------------------------------------------- */

static bool is_template(size_t number)
{
	return strstr(built_in[number].name, ".html") != NULL;
}

static int read_templates(struct pages *pages, FILE *complaints)
{
	int result = 0;

	for (size_t i = 0; i < PAGE_COUNT; i++) {
		struct page *page = &pages->all[i];

		if (!is_template(i))
			continue;
		page->template = template_new(pages, page->path, page->text, complaints);
		if (page->template == NULL)
			result = -1;
	}
	return result;
}

static int link_templates(struct pages *pages, FILE *complaints)
{
	for (size_t i = 0; i < PAGE_COUNT; i++) {
		struct template *template = pages->all[i].template;

		if (template != NULL && template_link(template, find_template, pages, complaints) != 0)
			return -1;
	}
	return 0;
}

struct pages *pages_load(TALLOC_CTX *ctx, const char *folder, FILE *complaints)
{
	struct pages *pages = talloc_zero(ctx, struct pages);

	if (pages == NULL) {
		(void)fputs("out of memory\n", complaints);
		return NULL;
	}
	for (size_t i = 0; i < PAGE_COUNT; i++)
		pages->all[i] = (struct page){.path = built_in[i].name, .text = built_in[i].text};
	if ((folder[0] != '\0' && load_folder(pages, folder, complaints) != 0) ||
	    read_templates(pages, complaints) != 0 || link_templates(pages, complaints) != 0)
		TALLOC_FREE(pages);
	return pages;
}

const char *pages_file(const struct pages *pages, const char *name, size_t *size)
{
	size_t number = number_of(name, strlen(name));

	if (number == PAGE_COUNT)
		return NULL;
	*size = strlen(pages->all[number].text);
	return pages->all[number].text;
}

char *pages_render(TALLOC_CTX *ctx, const struct pages *pages, const char *name, const json_t *values, size_t *size,
                   bool *has_script)
{
	size_t number = number_of(name, strlen(name));
	const struct template *template = number < PAGE_COUNT ? pages->all[number].template : NULL;

	if (template == NULL)
		return NULL;
	*has_script = template_has_script(template);
	return template_render(ctx, template, values, size);
}
