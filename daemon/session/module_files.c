/* The migrations of a module, as files: read, numbered without a gap, and writable by those only who may. */
#include "session/module_files.h"

#include "base/config_sections.h"
#include "base/file_owner.h"
#include "base/options.h"
#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION_DIGITS 4
/* Far more than tables take; rows do not belong into migrations. */
#define FILE_SIZE_MAX ((off_t)4 << 20)

const char *module_name_problem(const char *name)
{
	if (!config_section_can_be(name))
		return "a module's name has up to 31 small letters, digits and _, and begins with a letter";
	if (strncmp(name, "pg_", 3) == 0 || strcmp(name, "public") == 0 || strcmp(name, "information_schema") == 0)
		return "a schema of that name is PostgreSQL's own";
	return options_has_section(name) ? "that name is the daemon's own" : NULL;
}

const char *module_files_folder(TALLOC_CTX *ctx, const char *object, const char *name, const char *declared)
{
	char real[PATH_MAX];
	/* An object that is not there yet, or not for this user to see, is where it is said to be. */
	const char *path = realpath(object, real) != NULL ? real : object;
	const char *slash = strrchr(path, '/');
	int length = slash != NULL ? (int)(slash - path) : 1;

	if (slash == NULL)
		path = ".";
	return declared != NULL ? talloc_asprintf(ctx, "%.*s/%s", length, path, declared)
	                        : talloc_asprintf(ctx, "%.*s/%s/migrations", length, path, name);
}

/* "0001_titles.sql": its number; 0: it is no such name. */
static int version_of(const char *file)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	const char *end = strrchr(file, '.');

	if (strspn(file, "0123456789") != VERSION_DIGITS || file[VERSION_DIGITS] != '_' || end == NULL ||
	    strcmp(end, ".sql") != 0)
		return 0;
	if (end - file <= VERSION_DIGITS + 1 || strspn(file, letters) != (size_t)(end - file))
		return 0;
	return (int)strtol(file, NULL, 10);
}

static void note_sha256(struct module_migration *migration)
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256(hash, (const uint8_t *)migration->sql, strlen(migration->sql));
	(void)sodium_bin2hex(migration->sha256, sizeof migration->sha256, hash, sizeof hash);
}

static int read_open(struct module_migration *migration, TALLOC_CTX *ctx, const char *path, int fd,
                     struct problem *problem)
{
	struct stat status;
	size_t used = 0;
	char *text;

	if (fstat(fd, &status) != 0)
		return problem_set(problem, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode) || status.st_size > FILE_SIZE_MAX)
		return problem_set(problem, "%s is not a file of at most 4 MiB", path);
	if (file_owner_check(path, &status, geteuid(), problem) != 0)
		return -1;
	text = talloc_zero_size(ctx, (size_t)status.st_size + 1);
	if (text == NULL)
		return problem_set(problem, "out of memory");
	while (used < (size_t)status.st_size) {
		ssize_t got = read(fd, text + used, (size_t)status.st_size - used);

		if (got <= 0)
			return problem_set(problem, "%s: %s", path, got < 0 ? strerror(errno) : "it is cut short");
		used += (size_t)got;
	}
	if (strlen(text) != used || !utf8_is_valid(text))
		return problem_set(problem, "%s is not text in UTF-8", path);
	migration->sql = text;
	note_sha256(migration);
	return 0;
}

static int read_file(struct module_migration *migration, TALLOC_CTX *ctx, const char *folder, const char *file,
                     struct problem *problem)
{
	char *path = talloc_asprintf(ctx, "%s/%s", folder, file);
	int fd, result;

	migration->version = version_of(file);
	if (path == NULL)
		return problem_set(problem, "out of memory");
	if (migration->version == 0)
		return problem_set(problem, "%s is not called as migrations are: 0001_titles.sql", path);
	migration->name = talloc_strndup(ctx, file, strlen(file) - strlen(".sql"));
	/* Also of a FIFO the open does not block. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (migration->name == NULL || fd < 0)
		return problem_set(problem, "%s: %s", path, strerror(errno));
	result = read_open(migration, ctx, path, fd, problem);
	close(fd);
	return result;
}

static int by_name(const void *one, const void *other)
{
	return strcmp(((const struct module_migration *)one)->name, ((const struct module_migration *)other)->name);
}

/* From 1, each once. */
static int check_numbers(const struct module_migrations *migrations, const char *folder, struct problem *problem)
{
	for (size_t i = 0; i < migrations->count; i++) {
		if (migrations->all[i].version != (int)i + 1)
			return problem_set(problem, "%s/%s.sql: number %04zu was expected here", folder,
			                   migrations->all[i].name, i + 1);
	}
	return 0;
}

static int read_files(struct module_migrations *migrations, DIR *directory, const char *folder, struct problem *problem)
{
	const struct dirent *entry;

	while ((entry = readdir(directory)) != NULL) {
		struct module_migration *grown;

		if (entry->d_name[0] == '.')
			continue;
		grown = talloc_realloc(migrations, migrations->all, struct module_migration,
		                       (unsigned)migrations->count + 1);
		if (grown == NULL)
			return problem_set(problem, "out of memory");
		migrations->all = grown;
		if (read_file(&grown[migrations->count], migrations, folder, entry->d_name, problem) != 0)
			return -1;
		migrations->count++;
	}
	if (migrations->count > 0)
		qsort(migrations->all, migrations->count, sizeof migrations->all[0], by_name);
	return check_numbers(migrations, folder, problem);
}

struct module_migrations *module_files_read(TALLOC_CTX *ctx, const char *folder, bool *is_absent,
                                            struct problem *problem)
{
	struct module_migrations *migrations = talloc_zero(ctx, struct module_migrations);
	DIR *directory = opendir(folder);
	struct stat status;
	int result;

	*is_absent = directory == NULL && errno == ENOENT;
	if (migrations == NULL || directory == NULL) {
		(void)problem_set(problem, "%s: %s", folder, directory == NULL ? strerror(errno) : "out of memory");
		if (directory != NULL)
			(void)closedir(directory);
		talloc_free(migrations);
		return NULL;
	}
	result = fstat(dirfd(directory), &status) == 0 ? file_owner_check(folder, &status, geteuid(), problem)
	                                               : problem_set(problem, "%s: %s", folder, strerror(errno));
	if (result == 0)
		result = read_files(migrations, directory, folder, problem);
	(void)closedir(directory);
	if (result == 0)
		return migrations;
	talloc_free(migrations);
	return NULL;
}

int module_files_of(TALLOC_CTX *ctx, const char *object, const char *name, const char *declared,
                    struct module_migrations **migrations, struct problem *problem)
{
	const char *folder = module_files_folder(ctx, object, name, declared);
	struct problem reason = {0};
	bool is_absent = false;

	*migrations = NULL;
	if (folder == NULL)
		return problem_set(problem, "out of memory");
	*migrations = module_files_read(ctx, folder, &is_absent, &reason);
	if (*migrations != NULL || (is_absent && declared == NULL))
		return 0;
	return problem_set(problem, "module %s: migrations: %s", name, reason.text);
}
