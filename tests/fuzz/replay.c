/* Runs a target with files, or with all files of folders, as a test without a fuzzer: seeds, and inputs that once
 * crashed. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX (1024 * 1024)

static bool run_file(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *whole = malloc(INPUT_MAX);
	uint8_t *exact = NULL;
	size_t size = 0;
	bool is_read = false;

	if (file != NULL && whole != NULL) {
		size = fread(whole, 1, INPUT_MAX, file);
		/* As libFuzzer passes it: nothing is readable past its end. */
		exact = malloc(size > 0 ? size : 1);
		is_read = exact != NULL && ferror(file) == 0 && feof(file) != 0;
	}
	if (is_read) {
		memcpy(exact, whole, size);
		(void)LLVMFuzzerTestOneInput(exact, size);
	} else {
		(void)fprintf(stderr, "%s: cannot be read\n", path);
	}
	free(exact);
	free(whole);
	if (file != NULL)
		(void)fclose(file);
	return is_read;
}

static int run_folder(const char *path, DIR *folder)
{
	const struct dirent *entry;
	int count = 0;

	while ((entry = readdir(folder)) != NULL) {
		char name[4096];

		if (entry->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(name, sizeof name, "%s/%s", path, entry->d_name) >= sizeof name || !run_file(name))
			return -1;
		count++;
	}
	return count;
}

int main(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++) {
		DIR *folder = opendir(argv[i]);
		int count = folder != NULL ? run_folder(argv[i], folder) : run_file(argv[i]) ? 1 : -1;

		if (folder != NULL)
			(void)closedir(folder);
		if (count <= 0) {
			(void)fprintf(stderr, "%s: no inputs\n", argv[i]);
			return 1;
		}
		(void)printf("%s: %d inputs\n", argv[i], count);
	}
	return argc > 1 ? 0 : 64;
}
