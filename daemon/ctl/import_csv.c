/* onesessionctl import csv: the accounts of a file of comma-separated values with a header. */
#include "base/utf8.h"
#include "ctl/help.h"
#include "ctl/import.h"
#include "ctl/import_columns.h"
#include "ctl/output.h"
#include "ctl/terms.h"
#include "session/account_terms.h"
#include "session/plans.h"
#include "session/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The name of each is kept until the end, so that one that comes twice is told: some 300 MB for as many. */
#define ACCOUNTS_MAX 2000000

struct csv_import {
	struct ctl *ctl;
	struct import *import;
	struct csv *csv;
	const char *name; /* of the file */
	struct import_columns columns;
	json_t *plans;   /* those there are, by name */
	json_t *missing; /* those that there are none of, and accounts were to have */
	int64_t accounts;
};

/* One record, as it is to be read. "": nothing, or there is no such column. */
struct row {
	const char *text[COLUMN_COUNT];
};

/* ---- Values -------------------------------------------------------------------------------------------------- */

enum word { WORD_NONE, WORD_YES, WORD_NO, WORD_UNKNOWN };

static enum word word_of(const char *text)
{
	static const char *const yes[] = {"1", "t", "true", "y", "yes", "on"};
	static const char *const no[] = {"0", "f", "false", "n", "no", "off"};

	if (text[0] == '\0')
		return WORD_NONE;
	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
		if (strcasecmp(text, yes[i]) == 0)
			return WORD_YES;
		if (strcasecmp(text, no[i]) == 0)
			return WORD_NO;
	}
	return WORD_UNKNOWN;
}

/* Digits alone are a number: what is none is told by account_terms_problem(). A new reference. */
static json_t *limit_json(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits < 11 && text[digits] == '\0' ? json_integer(strtoll(text, NULL, 10))
	                                                         : terms_text(text);
}

/* What the row says beside name, address and hash. A new reference, NULL when out of memory. */
static json_t *row_terms(TALLOC_CTX *ctx, const struct row *row)
{
	json_t *terms = json_object();
	bool has_failed = terms == NULL;

	has_failed |= json_object_set_new(terms, "plan", terms_text(row->text[COLUMN_PLAN])) != 0;
	has_failed |= json_object_set_new(terms, "groups", terms_names(row->text[COLUMN_GROUPS])) != 0;
	has_failed |= json_object_set_new(terms, "session_limit", limit_json(row->text[COLUMN_SESSION_LIMIT])) != 0;
	has_failed |= json_object_set_new(terms, "valid_until", terms_moment(ctx, row->text[COLUMN_VALID_UNTIL])) != 0;
	has_failed |= json_object_set_new(terms, "external_id", terms_text(row->text[COLUMN_EXTERNAL_ID])) != 0;
	if (!has_failed)
		return terms;
	json_decref(terms);
	return NULL;
}

/* A sentence for programs, which has a full stop, as messages of this one have not, and null for an empty field. */
static const char *in_words_of_files(TALLOC_CTX *ctx, const char *problem)
{
	static const char null[] = "null.";
	size_t length = strlen(problem) - 1;
	bool has_null = length >= sizeof null - 1 && strcmp(problem + length + 2 - sizeof null, null) == 0;

	return has_null ? talloc_asprintf(ctx, "%.*snothing", (int)(length + 2 - sizeof null), problem)
	                : talloc_strndup(ctx, problem, length);
}

/* What is wrong with the row, on `ctx` or constant; NULL: nothing. */
static const char *row_problem(struct csv_import *csv_import, TALLOC_CTX *ctx, const struct row *row,
                               const json_t *terms)
{
	const char *plan = row->text[COLUMN_PLAN];
	const char *problem = account_terms_problem(ctx, terms, NULL);

	if (!terms_has_moment(terms))
		return "valid_until is " TERMS_MOMENT ", or nothing";
	if (problem != NULL)
		return in_words_of_files(ctx, problem);
	if (word_of(row->text[COLUMN_IS_ACTIVE]) == WORD_UNKNOWN)
		return "is_active is yes or no";
	if (word_of(row->text[COLUMN_EMAIL_VERIFIED]) == WORD_UNKNOWN)
		return "email_verified is yes or no";
	if (plan[0] == '\0' || json_object_get(csv_import->plans, plan) != NULL)
		return NULL;
	(void)json_object_set_new(csv_import->missing, plan, json_true());
	problem = talloc_asprintf(ctx, "there is no plan %s", plan);
	return problem != NULL ? problem : "there is no such plan";
}

/* ---- Rows ---------------------------------------------------------------------------------------------------- */

/* False when something in it is no UTF-8. */
static bool read_row(const struct csv_import *csv_import, struct row *row)
{
	const struct import_columns *columns = &csv_import->columns;

	for (size_t i = 0; i < COLUMN_COUNT; i++)
		row->text[i] = "";
	for (size_t i = 0; i < columns->count; i++) {
		const struct csv_field *field = &csv_import->csv->fields[i];

		if (columns->of[i] == COLUMN_IGNORED)
			continue;
		if (!utf8_is_valid(field->text))
			return false;
		if (!field->is_null)
			row->text[columns->of[i]] = field->text;
	}
	return true;
}

static int take_account(struct csv_import *csv_import, TALLOC_CTX *ctx, const char *where, const struct row *row)
{
	const char *hash = row->text[COLUMN_PASSWORD_HASH];
	/* Django's mark of no password begins so, too. */
	bool has_password = hash[0] != '\0' && hash[0] != '!';
	json_t *terms = row_terms(ctx, row);
	const char *problem = terms != NULL ? row_problem(csv_import, ctx, row, terms) : NULL;
	const struct users_import account = {
		.username = row->text[COLUMN_USERNAME],
		.password = has_password ? hash : USERS_NO_PASSWORD,
		.email = row->text[COLUMN_EMAIL],
		.is_email_verified = word_of(row->text[COLUMN_EMAIL_VERIFIED]) == WORD_YES,
		.is_active = word_of(row->text[COLUMN_IS_ACTIVE]) != WORD_NO,
		.terms = terms,
	};
	int result = EXIT_SUCCESS;

	if (terms == NULL)
		result = fail("out of memory");
	else if (problem != NULL)
		result = import_refuse_terms(csv_import->import, where, csv_import->csv->line, account.username,
		                             problem);
	else
		result = import_take(csv_import->import, where, csv_import->csv->line, &account,
		                     has_password ? import_hash_problem(csv_import->import, hash) : NULL);
	json_decref(terms);
	return result;
}

static int take_record(struct csv_import *csv_import, TALLOC_CTX *ctx, const char *place)
{
	const struct csv *csv = csv_import->csv;
	const char *where = place;
	struct row row;

	if (csv->field_count != csv_import->columns.count) {
		import_refuse_line(csv_import->import, place,
		                   talloc_asprintf(ctx, "there are %zu fields, and the header has %zu",
		                                   csv->field_count, csv_import->columns.count));
		return EXIT_SUCCESS;
	}
	if (!read_row(csv_import, &row)) {
		import_refuse_line(csv_import->import, place, "the line is not UTF-8");
		return EXIT_SUCCESS;
	}
	/* What is no name may be anything else, a password even. */
	if (users_name_problem(row.text[COLUMN_USERNAME]) == NULL)
		where = talloc_asprintf(ctx, "%s: %s", place, row.text[COLUMN_USERNAME]);
	if (where == NULL)
		return fail("out of memory");
	if (++csv_import->accounts > ACCOUNTS_MAX)
		return fail("%s: there are more than %d accounts: divide the file, each part with the header", place,
		            ACCOUNTS_MAX);
	return take_account(csv_import, ctx, where, &row);
}

static int take_result(struct csv_import *csv_import, enum csv_result read)
{
	TALLOC_CTX *ctx = talloc_new(csv_import->import);
	const char *place = talloc_asprintf(ctx, "%s:%lld", csv_import->name, (long long)csv_import->csv->line);
	int result = EXIT_SUCCESS;

	if (place == NULL)
		result = fail("out of memory");
	else if (read == CSV_RECORD)
		result = take_record(csv_import, ctx, place);
	else if (read == CSV_LEFT_OUT)
		import_refuse_line(csv_import->import, place, csv_import->csv->problem);
	else {
		import_clear_progress(csv_import->import);
		result = fail("%s: %s: the import ends here", place, csv_import->csv->problem);
	}
	talloc_free(ctx);
	return result;
}

/* ---- The whole ------------------------------------------------------------------------------------------------ */

static int read_header(struct csv_import *csv_import)
{
	struct csv *csv = csv_import->csv;
	const struct ctl *ctl = csv_import->ctl;
	enum csv_result read = csv_read(csv);
	const char *problem = csv->problem;

	if (ferror(csv->file))
		return fail("cannot read %s: %s", csv_import->name, strerror(errno));
	if (read == CSV_END)
		problem = "there is no header";
	if (problem == NULL)
		problem = import_columns_find(ctl->ctx, csv, ctl->map, ctl->ignore, &csv_import->columns);
	return problem == NULL ? EXIT_SUCCESS : fail("%s:%lld: %s", csv_import->name, (long long)csv->line, problem);
}

static int read_plans(struct csv_import *csv_import)
{
	const struct ctl *ctl = csv_import->ctl;
	struct plan *plans;
	size_t count;
	enum db_status status = plans_list(ctl->db, ctl->ctx, &plans, &count);

	if (status != DB_OK)
		return fail_database(ctl, status);
	for (size_t i = 0; i < count; i++) {
		if (json_object_set_new(csv_import->plans, plans[i].name, json_true()) != 0)
			return fail("out of memory");
	}
	return EXIT_SUCCESS;
}

static int read_csv(struct csv_import *csv_import)
{
	enum csv_result read;
	int result = EXIT_SUCCESS;

	while (result == EXIT_SUCCESS && (read = csv_read(csv_import->csv)) != CSV_END)
		result = take_result(csv_import, read);
	if (result == EXIT_SUCCESS && ferror(csv_import->csv->file)) {
		import_clear_progress(csv_import->import);
		result = fail("cannot read %s: %s", csv_import->name, strerror(errno));
	}
	return result;
}

static void tell_missing_plans(const struct csv_import *csv_import)
{
	char *text = talloc_strdup(csv_import->ctl->ctx, "");
	const char *plan;
	json_t *value;

	json_object_foreach(csv_import->missing, plan, value) text =
		text != NULL ? talloc_asprintf_append_buffer(text, "%s%s", text[0] != '\0' ? ", " : "", plan) : NULL;
	if (text != NULL && text[0] != '\0')
		(void)fail("plans that are to be made first (onesessionctl plan set): %s", text);
}

static int import_file(struct csv_import *csv_import, FILE *file)
{
	struct ctl *ctl = csv_import->ctl;
	enum csv_dialect dialect = ctl->dialect != NULL ? CSV_MYSQL : CSV_RFC4180;
	int result;

	csv_import->import = import_begin(ctl, "csv", true);
	csv_import->csv = csv_new(ctl->ctx, file, dialect);
	csv_import->plans = json_object();
	csv_import->missing = json_object();
	if (csv_import->import == NULL || csv_import->csv == NULL || csv_import->plans == NULL ||
	    csv_import->missing == NULL)
		return fail("out of memory");
	result = read_header(csv_import);
	if (result == EXIT_SUCCESS)
		result = read_plans(csv_import);
	if (result != EXIT_SUCCESS)
		return result;
	result = import_end(csv_import->import, read_csv(csv_import));
	tell_missing_plans(csv_import);
	return result;
}

int command_import_csv(struct ctl *ctl)
{
	bool is_stdin = strcmp(ctl->operand, "-") == 0;
	struct csv_import csv_import = {.ctl = ctl, .name = is_stdin ? "standard input" : ctl->operand};
	FILE *file;
	int result;

	if (ctl->dialect != NULL && strcmp(ctl->dialect, "mysql") != 0)
		return help_usage_error("--dialect takes mysql, but not", ctl->dialect);
	file = is_stdin ? stdin : fopen(ctl->operand, "re");
	if (file == NULL)
		return fail("cannot open %s: %s", ctl->operand, strerror(errno));
	result = import_file(&csv_import, file);
	json_decref(csv_import.plans);
	json_decref(csv_import.missing);
	if (!is_stdin)
		(void)fclose(file);
	return result;
}
