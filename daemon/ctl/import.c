/* onesessionctl import: accounts are taken one by one, added in batches, and counted. */
#include "ctl/import.h"

#include "base/clock.h"
#include "base/email.h"
#include "ctl/output.h"
#include "session/password.h"
#include "session/transaction.h"
#include "session/users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_INTERVAL_MS 250
#define PROGRESS_WIDTH       40

/* Why something is left out. */
enum refusal { REFUSED_LINE, REFUSED_NAME, REFUSED_REPEATED, REFUSED_HASH, REFUSED_TERMS, REFUSALS };

struct import {
	struct ctl *ctl;
	const char *detail; /* of each event, as JSON */
	bool has_lines;     /* of a file */
	json_t *names; /* by users_import.key, the line in which each stands first; without lines those refused, as 0 */
	int64_t imported, existing;
	int64_t refused[REFUSALS];
	int64_t left_out; /* of the existing: perhaps other people, for the name is spelt otherwise */
	int64_t emails, emails_left_out;
	bool has_verified;                                         /* addresses of which it was said so */
	int64_t names_like_emails, without_password, quick_hashes; /* of those imported */

	TALLOC_CTX *batch; /* what the accounts consist of */
	struct users_import accounts[IMPORT_BATCH];
	const char *where[IMPORT_BATCH]; /* what messages about each begin with */
	int64_t line[IMPORT_BATCH];
	bool is_refused[IMPORT_BATCH]; /* it was told, and is here for its name */
	size_t count;

	bool is_watched; /* standard error is a terminal, for progress */
	bool has_progress;
	int64_t next_progress_ms;
};

/* ---- Progress and refusals ---------------------------------------------------------------------------------- */

void import_clear_progress(struct import *import)
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
	import_clear_progress(import);
	(void)fail("%s: %s%s", where, what, why);
	import->refused[refusal]++;
}

void import_refuse_line(struct import *import, const char *where, const char *why)
{
	report_refused(import, REFUSED_LINE, where, why, "");
}

/* ---- Batches ------------------------------------------------------------------------------------------------ */

/* What was not added: its name was taken, or its id. */
static void tell_not_added(struct import *import, size_t i)
{
	const struct users_import *account = &import->accounts[i];

	if (account->external_id_of != NULL) {
		report_refused(import, REFUSED_TERMS, import->where[i], "its external_id is that of the account ",
		               account->external_id_of);
		return;
	}
	import->existing++;
	if (account->existing_as == NULL || strcmp(account->existing_as, account->username) == 0)
		return;
	import->left_out++;
	import_clear_progress(import);
	(void)fail("%s: is left out: the account %s exists, whose name differs in case only", import->where[i],
	           account->existing_as);
}

/* What has the name of an earlier one of the same import, whatever has become of that. */
static void tell_repeated(struct import *import, size_t i, int64_t first)
{
	import_clear_progress(import);
	if (import->has_lines)
		(void)fail("%s: the name is in line %lld already, which is the one that counts", import->where[i],
		           (long long)first);
	else
		(void)fail("%s: an account before it has the name, which was refused, and is the one that counts",
		           import->where[i]);
	import->refused[REFUSED_REPEATED]++;
}

static void drop_terms_of(struct users_import *account)
{
	/* The library counts references in what it takes as constant elsewhere. */
	json_decref((json_t *)(uintptr_t)account->terms);
	account->terms = NULL;
}

/* Of the batch those stay that are to be added. False when out of memory. */
static bool keep_first(struct import *import)
{
	size_t kept = 0;

	for (size_t i = 0; i < import->count; i++) {
		struct users_import account = import->accounts[i];
		const json_t *first = json_object_get(import->names, account.key);
		bool is_held = first == NULL && (import->has_lines || import->is_refused[i]);

		if (is_held && json_object_set_new(import->names, account.key, json_integer(import->line[i])) != 0)
			return false;
		if (first != NULL && !import->is_refused[i])
			tell_repeated(import, i, json_integer_value(first));
		if (first != NULL || import->is_refused[i]) {
			drop_terms_of(&import->accounts[i]);
			continue;
		}
		import->accounts[i].terms = NULL;
		import->accounts[kept] = account;
		import->where[kept] = import->where[i];
		kept++;
	}
	import->count = kept;
	return true;
}

static enum db_status read_keys(struct db *db, void *context)
{
	struct import *import = context;

	return users_import_keys(db, import->batch, import->accounts, import->count);
}

static enum db_status add_batch(struct db *db, void *context)
{
	struct import *import = context;

	return users_import(db, import->batch, import->accounts, import->count, import->detail);
}

/* The account is there all the same. */
static void leave_email_out(struct import *import, const char *where, const char *email, const char *why,
                            const char *of)
{
	import_clear_progress(import);
	(void)fail("%s: its address %s is left out: it %s%s", where, email, why, of);
	import->emails_left_out++;
}

static void count_new(struct import *import, const struct users_import *account)
{
	import->imported++;
	import->names_like_emails += strchr(account->username, '@') != NULL;
	import->without_password += strcmp(account->password, USERS_NO_PASSWORD) == 0;
	import->quick_hashes += password_hash_is_quick(account->password);
}

static void count_email(struct import *import, size_t i)
{
	const struct users_import *account = &import->accounts[i];

	if (account->has_email) {
		import->emails++;
		import->has_verified |= account->is_email_verified && account->is_new;
	} else if (account->email_of != NULL) {
		leave_email_out(import, import->where[i], account->email, "is that of the account ", account->email_of);
	}
}

static void drop_terms(struct import *import)
{
	for (size_t i = 0; i < import->count; i++)
		drop_terms_of(&import->accounts[i]);
}

/* Add the batch, and begin the next one. Returns the exit code. */
static int finish_batch(struct import *import)
{
	enum db_status status = DB_OK;

	if (import->count > 0)
		status = transaction_run(import->ctl->db, TRANSACTION_RETRIED, read_keys, import);
	if (status == DB_OK && !keep_first(import))
		return fail("out of memory");
	if (status == DB_OK && import->count > 0)
		status = transaction_run(import->ctl->db, TRANSACTION_RETRIED, add_batch, import);
	if (status != DB_OK) {
		import_clear_progress(import);
		return fail_database(import->ctl, status);
	}
	for (size_t i = 0; i < import->count; i++) {
		if (import->accounts[i].is_new)
			count_new(import, &import->accounts[i]);
		else
			tell_not_added(import, i);
		count_email(import, i);
	}
	drop_terms(import);
	import->count = 0;
	talloc_free_children(import->batch);
	show_progress(import);
	return EXIT_SUCCESS;
}

const char *import_hash_problem(const struct import *import, const char *hash)
{
	const struct password_cost cost = {.memory = import->ctl->settings.login.memory,
	                                   .passes = import->ctl->settings.login.passes};

	return password_import_problem(hash, &cost);
}

/*
 * The address in its one form, on the batch; without one, a name that is an address is taken for the person's. NULL:
 * there is none.
 */
static const char *take_email(struct import *import, const char *where, const char *name, const char *given)
{
	const char *plain = users_plain_name(import->batch, given != NULL && given[0] != '\0' ? given : name);
	char email[EMAIL_SIZE];
	const char *problem = plain != NULL ? email_parse(plain, email) : NULL;

	if (plain == NULL)
		return NULL;
	if (problem == NULL)
		return talloc_strdup(import->batch, email);
	if (given != NULL && given[0] != '\0')
		leave_email_out(import, where, plain, problem, "");
	return NULL;
}

/* Into the batch; the whole of it is added when it is full. Returns the exit code. */
static int put(struct import *import, const char *where, int64_t line, const struct users_import *account,
               bool is_refused)
{
	size_t i = import->count;

	import->accounts[i] = *account;
	import->where[i] = talloc_strdup(import->batch, where);
	import->line[i] = line;
	import->is_refused[i] = is_refused;
	if (account->username == NULL || account->password == NULL || import->where[i] == NULL)
		return fail("out of memory");
	if (account->terms != NULL)
		(void)json_incref((json_t *)(uintptr_t)account->terms);
	import->count++;
	return import->count == IMPORT_BATCH ? finish_batch(import) : EXIT_SUCCESS;
}

/* `name` is plain, and a name: it is held by what was refused. */
static int put_refused(struct import *import, const char *where, int64_t line, const char *name)
{
	const struct users_import refused = {.username = name, .password = USERS_NO_PASSWORD};

	return put(import, where, line, &refused, true);
}

int import_refuse_terms(struct import *import, const char *where, int64_t line, const char *name, const char *why)
{
	const char *plain = users_plain_name(import->batch, name);

	report_refused(import, REFUSED_TERMS, where, why, "");
	if (plain == NULL)
		return fail("out of memory");
	return users_foreign_name_problem(plain) == NULL ? put_refused(import, where, line, plain) : EXIT_SUCCESS;
}

int import_take(struct import *import, const char *where, int64_t line, const struct users_import *account,
                const char *hash_problem)
{
	const char *name = users_plain_name(import->batch, account->username);
	const char *name_problem = name != NULL ? users_foreign_name_problem(name) : NULL;
	struct users_import taken = *account;

	if (name == NULL)
		return fail("out of memory");
	if (name_problem != NULL) {
		report_refused(import, REFUSED_NAME, where, "the name ", name_problem);
		return EXIT_SUCCESS;
	}
	if (hash_problem != NULL) {
		report_refused(import, REFUSED_HASH, where, "the hash ", hash_problem);
		return put_refused(import, where, line, name);
	}
	taken.username = name;
	taken.email = take_email(import, where, name, account->email);
	taken.password = talloc_strdup(import->batch, account->password);
	return put(import, where, line, &taken, false);
}

/* ---- The whole ---------------------------------------------------------------------------------------------- */

static int drop_json(struct import *import)
{
	drop_terms(import);
	json_decref(import->names);
	return 0;
}

struct import *import_begin(struct ctl *ctl, const char *from, bool has_lines)
{
	struct import *import = talloc_zero(ctl->ctx, struct import);

	if (import == NULL)
		return NULL;
	talloc_set_destructor(import, drop_json);
	import->ctl = ctl;
	import->is_watched = isatty(STDERR_FILENO);
	import->batch = talloc_new(import);
	import->detail = ctl_operator_detail(ctl->ctx, json_pack("{s:s}", "from", from));
	import->has_lines = has_lines;
	import->names = json_object();
	return import->batch != NULL && import->detail != NULL && import->names != NULL ? import : NULL;
}

/* What there was none of is not in it. */
static json_t *report_json(const struct import *import)
{
	bool has_emails = import->emails > 0 || import->emails_left_out > 0;
	const struct {
		const char *name;
		bool is_told;
		int64_t count;
	} counts[] = {
		{"imported", true, import->imported},
		{"existing", true, import->existing},
		{"refused", true, all_refused(import)},
		{"emails", has_emails, import->emails},
		{"emails_left_out", has_emails, import->emails_left_out},
		{"without_password", import->without_password > 0, import->without_password},
		{"quick_hashes", import->quick_hashes > 0, import->quick_hashes},
	};
	json_t *report = json_object();

	for (size_t i = 0; report != NULL && i < sizeof counts / sizeof counts[0]; i++) {
		if (counts[i].is_told &&
		    json_object_set_new(report, counts[i].name, json_integer(counts[i].count)) != 0) {
			json_decref(report);
			report = NULL;
		}
	}
	return report;
}

static int report(const struct import *import)
{
	if (import->ctl->json)
		return output_json(report_json(import));
	if (import->emails > 0)
		(void)output_line("With e-mail addresses: %lld%s.", (long long)import->emails,
		                  import->has_verified ? "" : ", none of them verified (onesessionctl user verify)");
	if (import->names_like_emails > 0)
		(void)output_line("With an @ in their names: %lld. They sign in by these as before; no new account "
		                  "gets such a name.",
		                  (long long)import->names_like_emails);
	if (import->without_password > 0 && import->ctl->settings.login.enabled)
		(void)output_line("Without a password, so that nobody signs in to them yet: %lld.",
		                  (long long)import->without_password);
	if (import->quick_hashes > 0)
		(void)output_line("With hashes that are soon guessed by whoever gets hold of them (MD5, SHA-1): %lld. "
		                  "Each is replaced when its person signs in.",
		                  (long long)import->quick_hashes);
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
		[REFUSED_NAME] = {"account", " whose name is invalid"},
		[REFUSED_REPEATED] = {"account", " with the name of an earlier one"},
		[REFUSED_TERMS] = {"account", " with a value that cannot be taken"},
		[REFUSED_HASH] = {"account", " whose hash cannot be used (onesessionctl user add adds "
	                                     "such an account with a new password)"},
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

int import_end(struct import *import, int result)
{
	if (result == EXIT_SUCCESS)
		result = finish_batch(import);
	import_clear_progress(import);
	if (result != EXIT_SUCCESS) {
		if (import->imported > 0)
			(void)fail("%s imported before the failure: run the same command again to import the rest",
			           output_count(import->ctl->ctx, import->imported, "account"));
		return result;
	}
	result = report(import);
	if (result == EXIT_SUCCESS && (import->left_out > 0 || import->emails_left_out > 0))
		result = EXIT_FAILURE;
	return all_refused(import) > 0 ? tell_refused(import) : result;
}
