/* The files of a folder of pages. */
#include "http/page_files.h"

#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far more than a page or a style sheet needs. */
#define FILE_MAX ((off_t)1 << 20)

/* Far more files than a module needs. */
#define FILES_MAX 256

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

char *page_file_read(TALLOC_CTX *ctx, const char *path, bool is_text, size_t *size, FILE *complaints)
{
	/* Also of a FIFO the open does not block. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text;

	if (fd < 0) {
		(void)fprintf(complaints, "%s: %s\n", path, strerror(errno));
		return NULL;
	}
	text = read_all(ctx, fd, path, size, complaints);
	(void)close(fd);
	if (text == NULL || !is_text || check_text(text, path, complaints) == 0)
		return text;
	talloc_free(text);
	return NULL;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int page_folder_read(const char *what, const char *folder, page_file_take *take, void *context, FILE *complaints)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_visible, alphasort);
	int result = 0;

	if (count < 0) {
		(void)fprintf(complaints, "%s: %s: %s\n", what, folder, strerror(errno));
		return -1;
	}
	if (count > FILES_MAX) {
		(void)fprintf(complaints, "%s: %s: more than %d files\n", what, folder, FILES_MAX);
		result = -1;
	}
	for (int i = 0; i < count; i++) {
		if (count <= FILES_MAX && take(context, folder, entries[i]->d_name, complaints) != 0)
			result = -1;
		free(entries[i]);
	}
	free(entries);
	return result;
}
