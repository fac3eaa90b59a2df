/* onesessionctl import ... */
#include "base/clock.h"
#include "ctl/output.h"
#include "session/password.h"
#include "session/transaction.h"
#include "session/users.h"
#include "session/users_import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Accounts in one transaction: few enough that no login waits for its locks for long. */
#define BATCH 500

/* A name and a hash at their longest, with room to spare. */
#define LINE_SIZE 4096

/* Of the other database. */
#define STATEMENT_TIMEOUT_MS INT64_C(60000)

#define PROGRESS_INTERVAL_MS 250
#define PROGRESS_WIDTH       40

/* Why something is left out. */
enum refusal { REFUSED_LINE, REFUSED_NAME, REFUSED_REPEATED, REFUSED_HASH, REFUSALS };

struct import {
	struct ctl *ctl;
	const char *detail; /* of each event, as JSON */
	json_t *lines;      /* of a file: the line that each name stands in first, by users_import.key */
	int64_t imported, existing;
	int64_t refused[REFUSALS];
	int64_t left_out; /* of the existing: perhaps other people, for the name is spelt otherwise */

	TALLOC_CTX *batch; /* what the accounts consist of */
	struct users_import accounts[BATCH];
	const char *where[BATCH]; /* what messages about each begin with */
	int64_t line[BATCH];
	size_t count;

	bool is_watched; /* standard error is a terminal, for progress */
	bool has_progress;
	int64_t next_progress_ms;
};

/* ---- Progress and refusals ---------------------------------------------------------------------------------- */

static void clear_progress(struct import *import)
{
	if (import->has_progress)
		(void)fprintf(stderr, "\r%*s\r", PROGRESS_WIDTH, "");
	import->has_progress = false;
}

static int64_t all_refused(const struct import *import)
{
	int64_t all = 0;

	for (size_t i = 0; i < REFUSALS; i++)
		all += import->refused[i];
	return all;
}

static void show_progress(struct import *import)
{
	int64_t now = clock_monotonic_ms();

	if (!import->is_watched || now < import->next_progress_ms)
		return;
	(void)fprintf(stderr, "\r%lld accounts so far",
	              (long long)(import->imported + import->existing + all_refused(import)));
	import->has_progress = true;
	import->next_progress_ms = now + PROGRESS_INTERVAL_MS;
}

/* `why` goes on where `what` ends. */
static void report_refused(struct import *import, enum refusal refusal, const char *where, const char *what,
                           const char *why)
{
	clear_progress(import);
	(void)fail("%s: %s%s", where, what, why);
	import->refused[refusal]++;
}

/* ---- Batches ------------------------------------------------------------------------------------------------ */

/* Whose name was taken: by an account that was there, or by a line of the same file. */
static void tell_existing(struct import *import, size_t i)
{
	const struct users_import *account = &import->accounts[i];
	const json_t *first = json_object_get(import->lines, account->key);

	if (first != NULL) {
		clear_progress(import);
		(void)fail("%s: the name stands in line %lld already, which counts", import->where[i],
		           (long long)json_integer_value(first));
		import->refused[REFUSED_REPEATED]++;
		return;
	}
	import->existing++;
	if (account->existing_as == NULL || strcmp(account->existing_as, account->username) == 0)
		return;
	import->left_out++;
	clear_progress(import);
	(void)fail("%s: is left out: names are the same whatever their case, and there is the account %s",
	           import->where[i], account->existing_as);
}

static enum db_status add_batch(struct db *db, void *context)
{
	struct import *import = context;

	return users_import(db, import->batch, import->accounts, import->count, import->detail);
}

/* Add the batch, and begin the next one. Returns the exit code. */
static int finish_batch(struct import *import)
{
	enum db_status status = DB_OK;

	if (import->count > 0)
		status = transaction_run(import->ctl->db, TRANSACTION_RETRIED, add_batch, import);
	if (status != DB_OK) {
		clear_progress(import);
		return fail_database(import->ctl, status);
	}
	for (size_t i = 0; i < import->count; i++) {
		if (import->accounts[i].is_new)
			import->imported++;
		else
			tell_existing(import, i);
		/* The first of several stays. */
		if (import->lines != NULL && json_object_get(import->lines, import->accounts[i].key) == NULL &&
		    json_object_set_new(import->lines, import->accounts[i].key, json_integer(import->line[i])) != 0)
			return fail("out of memory");
	}
	import->count = 0;
	talloc_free_children(import->batch);
	show_progress(import);
	return EXIT_SUCCESS;
}

static const char *hash_problem_of(const struct import *import, const char *hash)
{
	const struct password_cost cost = {.memory = import->ctl->settings.login.memory,
	                                   .passes = import->ctl->settings.login.passes};

	return password_import_problem(hash, &cost);
}

/* Take one account, or tell why it cannot be. Returns the exit code. */
static int take(struct import *import, const char *where, int64_t line, const struct users_import *account,
                const char *hash_problem)
{
	const char *name = users_plain_name(import->batch, account->username);
	const char *name_problem = name != NULL ? users_name_problem(name) : NULL;
	struct users_import *taken = &import->accounts[import->count];

	if (name_problem != NULL) {
		report_refused(import, REFUSED_NAME, where, "the name ", name_problem);
		return EXIT_SUCCESS;
	}
	if (hash_problem != NULL) {
		report_refused(import, REFUSED_HASH, where, "the hash ", hash_problem);
		return EXIT_SUCCESS;
	}
	*taken = *account;
	taken->username = name;
	taken->password = talloc_strdup(import->batch, account->password);
	import->where[import->count] = talloc_strdup(import->batch, where);
	import->line[import->count] = line;
	if (taken->username == NULL || taken->password == NULL || import->where[import->count] == NULL)
		return fail("out of memory");
	import->count++;
	return import->count == BATCH ? finish_batch(import) : EXIT_SUCCESS;
}

/* ---- The whole ---------------------------------------------------------------------------------------------- */

static struct import *begin(struct ctl *ctl, const char *from)
{
	struct import *import = talloc_zero(ctl->ctx, struct import);

	if (import == NULL)
		return NULL;
	import->ctl = ctl;
	import->is_watched = isatty(STDERR_FILENO);
	import->batch = talloc_new(import);
	import->detail = ctl_operator_detail(ctl->ctx, json_pack("{s:s}", "from", from));
	return import->batch != NULL && import->detail != NULL ? import : NULL;
}

static int report(const struct import *import)
{
	if (import->ctl->json)
		return output_json(json_pack("{s:I, s:I, s:I}", "imported", (json_int_t)import->imported, "existing",
		                             (json_int_t)import->existing, "refused", (json_int_t)all_refused(import)));
	return output_line("%s imported, %lld there already, %lld refused.",
	                   output_count(import->ctl->ctx, import->imported, "account"), (long long)import->existing,
	                   (long long)all_refused(import));
}

/* What was refused, each kind by its number. Returns EXIT_FAILURE. */
static int tell_refused(const struct import *import)
{
	static const struct {
		const char *noun, *what;
	} kinds[REFUSALS] = {
		[REFUSED_LINE] = {"line", " without a name and a hash"},
		[REFUSED_NAME] = {"account", " whose name is not possible here"},
		[REFUSED_REPEATED] = {"line", " with the name of an earlier one"},
		[REFUSED_HASH] = {"account", " whose hash cannot be used here, which onesessionctl user add can add "
	                                     "with a new password"},
	};
	char *text = talloc_strdup(import->ctl->ctx, "");

	for (size_t i = 0; text != NULL && i < REFUSALS; i++) {
		if (import->refused[i] > 0)
			text = talloc_asprintf_append_buffer(
				text, "%s%s%s", text[0] != '\0' ? "; " : "",
				output_count(import->ctl->ctx, import->refused[i], kinds[i].noun), kinds[i].what);
	}
	return text != NULL ? fail("not imported: %s", text) : fail("out of memory");
}

/* `result` is that of the reading. Returns the exit code. */
static int end(struct import *import, int result)
{
	if (result == EXIT_SUCCESS)
		result = finish_batch(import);
	clear_progress(import);
	if (result != EXIT_SUCCESS) {
		if (import->imported > 0)
			(void)fail("%s imported before that: the same command goes on from there",
			           output_count(import->ctl->ctx, import->imported, "account"));
		return result;
	}
	result = report(import);
	if (result == EXIT_SUCCESS && import->left_out > 0)
		result = EXIT_FAILURE;
	return all_refused(import) > 0 ? tell_refused(import) : result;
}

/* ---- Django ------------------------------------------------------------------------------------------------- */

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
		.is_active = user->is_active,
		.is_admin = user->is_superuser,
	};
	const char *where = talloc_asprintf(scratch, "%s (id %lld)", user->username, (long long)user->id);

	if (where == NULL)
		return fail("out of memory");
	return take(import, where, 0, &account, has_password ? hash_problem_of(import, user->password) : NULL);
}

static int read_django(struct import *import, struct db *source)
{
	int64_t last_id = INT64_MIN;
	int result = EXIT_SUCCESS;
	size_t count;

	do {
		TALLOC_CTX *scratch = talloc_new(import);
		struct django_user *users;
		enum db_status status = users_read_django(source, scratch, last_id, BATCH, &users, &count);

		if (status != DB_OK) {
			clear_progress(import);
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

/* What people have whose Django keeps its accounts elsewhere: NULL, or what `from` is instead. */
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
	import = begin(ctl, "django");
	if (import == NULL || source == NULL)
		return fail("out of memory");
	if (db_connect(source) != DB_OK)
		return fail("the database to import from: %s", db_problem(source));
	return end(import, read_django(import, source));
}

/* ---- htpasswd ----------------------------------------------------------------------------------------------- */

enum line { LINE_READ, LINE_TOO_LONG, LINE_HAS_NUL, LINE_NONE };

/* One line without its end. Of one that is too long, the rest is passed over. */
static enum line read_line(FILE *file, char text[LINE_SIZE])
{
	enum line line = LINE_READ;
	size_t length = 0;
	int c;

	while ((c = getc(file)) != EOF && c != '\n') {
		if (length == LINE_SIZE - 1) {
			line = LINE_TOO_LONG;
			continue;
		}
		if (c == '\0')
			line = LINE_HAS_NUL;
		text[length++] = (char)c;
	}
	if (c == EOF && length == 0)
		return LINE_NONE;
	while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL && text[length - 1] != '\0')
		length--;
	text[length] = '\0';
	return line;
}

/* "NAME:HASH", and behind another colon whatever the file's owner likes, as web servers read it. */
static int take_htpasswd_line(struct import *import, TALLOC_CTX *scratch, const char *place, int64_t number,
                              const char *text)
{
	const char *colon = strchr(text, ':');
	struct users_import account = {.is_active = true};
	const char *where;

	if (colon == NULL) {
		report_refused(import, REFUSED_LINE, place, "there is no colon behind the name", "");
		return EXIT_SUCCESS;
	}
	account.username = talloc_strndup(scratch, text, (size_t)(colon - text));
	account.password = talloc_strndup(scratch, colon + 1, strcspn(colon + 1, ":"));
	if (account.username == NULL || account.password == NULL)
		return fail("out of memory");
	/* What is no name may be anything else, a password even. */
	where = users_name_problem(account.username) == NULL
	                ? talloc_asprintf(scratch, "%s: %s", place, account.username)
	                : place;
	if (where == NULL)
		return fail("out of memory");
	return take(import, where, number, &account, hash_problem_of(import, account.password));
}

static int take_line(struct import *import, const char *name, int64_t number, enum line line, const char *text)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	TALLOC_CTX *scratch = talloc_new(import);
	const char *place = talloc_asprintf(scratch, "%s:%lld", name, (long long)number);
	int result = EXIT_SUCCESS;

	if (number == 1 && strncmp(text, byte_order_mark, strlen(byte_order_mark)) == 0)
		text += strlen(byte_order_mark);
	if (place == NULL)
		result = fail("out of memory");
	else if (line == LINE_TOO_LONG)
		report_refused(import, REFUSED_LINE, place, "the line is too long", "");
	else if (line == LINE_HAS_NUL)
		report_refused(import, REFUSED_LINE, place, "there is a NUL byte in the line", "");
	else if (text[0] != '\0' && text[0] != '#')
		result = take_htpasswd_line(import, scratch, place, number, text);
	talloc_free(scratch);
	return result;
}

static int read_htpasswd(struct import *import, FILE *file, const char *name)
{
	char text[LINE_SIZE];
	int result = EXIT_SUCCESS;
	enum line line;

	for (int64_t number = 1; result == EXIT_SUCCESS && (line = read_line(file, text)) != LINE_NONE; number++)
		result = take_line(import, name, number, line, text);
	if (result == EXIT_SUCCESS && ferror(file)) {
		clear_progress(import);
		result = fail("cannot read %s: %s", name, strerror(errno));
	}
	return result;
}

int command_import_htpasswd(struct ctl *ctl)
{
	bool is_stdin = strcmp(ctl->operand, "-") == 0;
	struct import *import = begin(ctl, "htpasswd");
	FILE *file;
	int result;

	if (import == NULL || (import->lines = json_object()) == NULL)
		return fail("out of memory");
	file = is_stdin ? stdin : fopen(ctl->operand, "re");
	if (file == NULL) {
		result = fail("cannot open %s: %s", ctl->operand, strerror(errno));
	} else {
		result = end(import, read_htpasswd(import, file, is_stdin ? "standard input" : ctl->operand));
		if (!is_stdin)
			(void)fclose(file);
	}
	json_decref(import->lines);
	return result;
}
