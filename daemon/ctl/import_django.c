/* onesessionctl import django: the accounts of another PostgreSQL database. */
#include "ctl/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the other database. */
#define STATEMENT_TIMEOUT_MS INT64_C(60000)

/* Django's own mark is "!" with random characters behind it; applications of it leave "" too. */
static bool is_unusable(const char *password)
{
	return password[0] == '!' || password[0] == '\0';
}

static int take_django_user(struct import *import, TALLOC_CTX *scratch, const struct django_user *user)
{
	bool has_password = !is_unusable(user->password);
	const struct users_import account = {
		.username = user->username,
		.password = has_password ? user->password : USERS_NO_PASSWORD,
		.email = user->email,
		.is_active = user->is_active,
		.is_admin = user->is_superuser,
	};
	const char *where = talloc_asprintf(scratch, "%s (id %lld)", user->username, (long long)user->id);

	if (where == NULL)
		return fail("out of memory");
	return import_take(import, where, 0, &account,
	                   has_password ? import_hash_problem(import, user->password) : NULL);
}

static int read_django(struct import *import, struct db *source)
{
	int64_t last_id = INT64_MIN;
	int result = EXIT_SUCCESS;
	size_t count;

	do {
		TALLOC_CTX *scratch = talloc_new(import);
		struct django_user *users;
		enum db_status status = users_read_django(source, scratch, last_id, IMPORT_BATCH, &users, &count);

		if (status != DB_OK) {
			import_clear_progress(import);
			result = fail("the database to import from: %s", db_problem(source));
			count = 0;
		}
		for (size_t i = 0; i < count && result == EXIT_SUCCESS; i++) {
			result = take_django_user(import, scratch, &users[i]);
			last_id = users[i].id;
		}
		talloc_free(scratch);
	} while (count > 0 && result == EXIT_SUCCESS);
	return result;
}

/* What `from` is when it names another database than PostgreSQL, as Django may have; else NULL. */
static const char *other_database(TALLOC_CTX *ctx, const char *from)
{
	static const char sqlite_magic[] = "SQLite format 3";
	const char *scheme_end = strstr(from, "://");
	size_t scheme_length = scheme_end != NULL ? (size_t)(scheme_end - from) : 0;
	char begin[sizeof sqlite_magic] = "";
	FILE *file;
	size_t size;

	if (strspn(from, "abcdefghijklmnopqrstuvwxyz+0123456789") == scheme_length && scheme_length > 0)
		return strncmp(from, "postgres", strlen("postgres")) != 0 ? talloc_strndup(ctx, from, scheme_length)
		                                                          : NULL;
	file = fopen(from, "re");
	if (file == NULL)
		return NULL;
	size = fread(begin, 1, sizeof begin, file);
	(void)fclose(file);
	return size == sizeof begin && memcmp(begin, sqlite_magic, sizeof begin) == 0 ? "an SQLite file" : "a file";
}

int command_import_django(struct ctl *ctl)
{
	const char *other = other_database(ctl->ctx, ctl->from);
	const struct db_config config = {
		.conninfo = ctl->from,
		.application_name = "onesessionctl",
		.connect_timeout_ms = ctl->settings.database.connect_timeout,
		.statement_timeout_ms = STATEMENT_TIMEOUT_MS,
		/* Nothing here is worth preparing, and there may be a pooler in between. */
		.prepare = false,
	};
	struct db *source;
	struct import *import;

	if (other != NULL)
		return fail(
			"import django reads PostgreSQL, and --from is %s: see \"import django\" in onesessionctl(8)",
			other);
	source = db_new(ctl->ctx, &config);
	import = import_begin(ctl, "django", false);
	if (import == NULL || source == NULL)
		return fail("out of memory");
	if (db_connect(source) != DB_OK)
		return fail("the database to import from: %s", db_problem(source));
	return import_end(import, read_django(import, source));
}
