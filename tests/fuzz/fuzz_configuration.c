/*
 * A configuration file, and -o behind a line of "%%". Accepted input gives the same settings again when it is
 * written out, and rejected input is reported.
 */
#include "fuzz.h"

#include "base/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OVERRIDES_MAX 8

/* A file without a disk, which config_load() opens by its path. */
static struct {
	int fd;
	char path[40];
} file = {.fd = -1};

static void write_file(const void *data, size_t size)
{
	if (file.fd < 0) {
		file.fd = memfd_create("configuration", MFD_CLOEXEC);
		MUST(file.fd >= 0);
		(void)snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
	}
	MUST(ftruncate(file.fd, 0) == 0);
	MUST(size == 0 || pwrite(file.fd, data, size, 0) == (ssize_t)size);
}

static int load(TALLOC_CTX *ctx, const char *const overrides[], size_t count, struct settings *settings)
{
	const struct config_source source = {.path = file.path, .overrides = overrides, .override_count = count};
	char *complaints = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&complaints, &size);
	int result;

	MUST(stream != NULL);
	result = config_load(ctx, &source, settings, stream);
	MUST(fclose(stream) == 0);
	/* Lines without control characters for a terminal. */
	MUST((result == 0) == (size == 0));
	for (size_t i = 0; i < size; i++)
		MUST((unsigned char)complaints[i] >= 0x20 || complaints[i] == '\n');
	free(complaints);
	return result;
}

static char *dump(const struct settings *settings, size_t *size)
{
	char *text = NULL;
	FILE *stream = open_memstream(&text, size);

	MUST(stream != NULL);
	config_dump(settings, stream);
	MUST(fclose(stream) == 0);
	return text;
}

static void check_dump(TALLOC_CTX *ctx, const struct settings *settings)
{
	struct settings again;
	size_t size, again_size;
	char *text = dump(settings, &size);
	char *again_text;

	write_file(text, size);
	MUST(load(ctx, NULL, 0, &again) == 0);
	again_text = dump(&again, &again_size);
	MUST(size == again_size && memcmp(text, again_text, size) == 0);
	free(text);
	free(again_text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char separator[] = "\n%%\n";
	TALLOC_CTX *ctx = talloc_new(NULL);
	const uint8_t *rest = size > 0 ? memmem(data, size, separator, sizeof separator - 1) : NULL;
	size_t file_size = rest != NULL ? (size_t)(rest - data) : size;
	size_t rest_size = rest != NULL ? size - file_size - (sizeof separator - 1) : 0;
	const char *overrides[OVERRIDES_MAX];
	struct settings settings;
	size_t count = 0;

	MUST(ctx != NULL);
	if (rest != NULL)
		rest += sizeof separator - 1;
	while (rest_size > 0 && count < OVERRIDES_MAX)
		overrides[count++] = fuzz_line(ctx, &rest, &rest_size);
	write_file(data, file_size);
	if (load(ctx, overrides, count, &settings) == 0)
		check_dump(ctx, &settings);
	talloc_free(ctx);
	return 0;
}
