/* onesessionctl user set: the terms of an account, and whether it is an administrator's. */
#include "ctl/output.h"
#include "ctl/terms.h"
#include "ctl/user.h"
#include "session/account_terms.h"
#include "session/transaction.h"

#include <stdlib.h>
#include <string.h>

/* ---- What was asked for ---------------------------------------------------------------------------------------- */

/* A new reference, NULL when out of memory. */
static json_t *asked_terms(const struct ctl *ctl)
{
	json_t *terms = json_object();
	bool has_failed = terms == NULL;

	if (ctl->email != NULL) {
		has_failed |= json_object_set_new(terms, "email", terms_text(ctl->email)) != 0;
		has_failed |= json_object_set_new(terms, "email_verified", json_boolean(ctl->email[0] != '\0')) != 0;
	}
	if (ctl->plan != NULL)
		has_failed |= json_object_set_new(terms, "plan", terms_text(ctl->plan)) != 0;
	if (ctl->groups != NULL)
		has_failed |= json_object_set_new(terms, "groups", terms_names(ctl->groups)) != 0;
	if (ctl->valid_until != NULL)
		has_failed |= json_object_set_new(terms, "valid_until", terms_moment(ctl->ctx, ctl->valid_until)) != 0;
	if (!has_failed)
		return terms;
	json_decref(terms);
	return NULL;
}

/* ---- The change ------------------------------------------------------------------------------------------------ */

struct setting {
	struct ctl *ctl;
	struct user *user; /* as it was; NULL: there is none */
	struct terms_change change;
	enum terms_result result;
	bool was_admin, is_admin_changed;
};

static enum db_status set_admin(struct account_tx *tx, struct setting *setting)
{
	bool is_admin = strcmp(setting->ctl->admin, "yes") == 0;
	enum db_status status = users_set_admin(tx->db, setting->user->id, is_admin, &setting->was_admin);

	setting->is_admin_changed = status == DB_OK && setting->was_admin != is_admin;
	if (!setting->is_admin_changed)
		return status;
	return user_record(tx->db, "user_admin_changed", setting->user->id, setting->user->username,
	                   json_pack("{s:b, s:b}", "is_admin", (int)is_admin, "before", (int)setting->was_admin));
}

static enum db_status apply(struct account_tx *tx, void *context)
{
	struct setting *setting = context;
	enum db_status status = users_find_typed(tx->db, tx->ctx, setting->ctl->operand, &setting->user);

	setting->result = TERMS_NO_ACCOUNT;
	if (status != DB_OK || setting->user == NULL)
		return status != DB_OK ? status : DB_ERROR;
	setting->change.username = setting->user->username;
	status = account_terms_apply(tx, &setting->change, &setting->result);
	if (status != DB_OK || setting->result != TERMS_OK)
		return status != DB_OK ? status : DB_ERROR;
	return setting->ctl->admin != NULL ? set_admin(tx, setting) : DB_OK;
}

static int tell_refused(const struct setting *setting, enum db_status status)
{
	const struct ctl *ctl = setting->ctl;

	if (status != DB_ERROR || setting->result == TERMS_OK)
		return fail_database(ctl, status);
	switch (setting->result) {
	case TERMS_NO_PLAN: return fail("there is no plan %s", ctl->plan);
	case TERMS_EMAIL_TAKEN: return fail("another account has that address, or it as its name: %s", ctl->email);
	default: return setting->user == NULL ? fail("no such account: %s", ctl->operand) : fail_database(ctl, status);
	}
}

/* ---- What is told ---------------------------------------------------------------------------------------------- */

/* "gold", "staff,editors", "none"; on `ctx`. */
static const char *words_of(TALLOC_CTX *ctx, const json_t *value)
{
	char *text;

	if (json_is_string(value))
		return json_string_value(value);
	if (!json_is_array(value) || json_array_size(value) == 0)
		return "none";
	text = talloc_strdup(ctx, "");
	for (size_t i = 0; text != NULL && i < json_array_size(value); i++)
		text = talloc_asprintf_append(text, "%s%s", i > 0 ? "," : "",
		                              json_string_value(json_array_get(value, i)));
	return text != NULL ? text : "?";
}

static void tell_changes(const struct setting *setting)
{
	static const struct {
		const char *name, *words;
	} told[] = {{"plan", "plan"}, {"groups", "groups"}, {"valid_until", "valid until"}};
	const struct ctl *ctl = setting->ctl;

	for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
		const json_t *after = json_object_get(setting->change.after, told[i].name);

		if (after != NULL)
			(void)output_line("Account %s: %s %s; before: %s.", setting->user->username, told[i].words,
			                  words_of(ctl->ctx, after),
			                  words_of(ctl->ctx, json_object_get(setting->change.before, told[i].name)));
	}
}

static int tell(const struct setting *setting)
{
	const struct ctl *ctl = setting->ctl;
	bool is_admin = ctl->admin != NULL && strcmp(ctl->admin, "yes") == 0;

	if (ctl->json && ctl->admin != NULL && !setting->change.is_changed)
		return output_json(json_pack("{s:I, s:s, s:b, s:b}", "id", (json_int_t)setting->user->id, "username",
		                             setting->user->username, "is_admin", (int)is_admin, "before",
		                             (int)setting->was_admin));
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s, s:b, s:O, s:O}", "id", (json_int_t)setting->user->id,
		                             "username", setting->user->username, "changed",
		                             (int)setting->change.is_changed, "before", setting->change.before, "after",
		                             setting->change.after));
	if (!setting->change.is_changed && !setting->is_admin_changed)
		return output_line("Account %s: it was so already.", setting->user->username);
	tell_changes(setting);
	if (ctl->email != NULL)
		(void)output_line("Account %s: its address is %s.", setting->user->username,
		                  ctl->email[0] != '\0' ? ctl->email : "none");
	if (ctl->admin != NULL)
		(void)output_line("Account %s is %s.", setting->user->username,
		                  is_admin ? "an administrator's" : "no administrator's");
	return EXIT_SUCCESS;
}

/* In the words of the command line, on which "null" is no more than a text. */
static const char *moment_problem(const json_t *terms)
{
	return terms_has_moment(terms) ? NULL
	                               : "--valid-until takes " TERMS_MOMENT
	                                 ", or an empty text, which takes the end away";
}

int command_user_set(struct ctl *ctl)
{
	struct account_tx tx = {.ctx = ctl->ctx, .db = ctl->db, .signals = ctl->signals};
	json_t *terms = asked_terms(ctl), *by = ctl_operator_json(ctl->ctx);
	struct setting setting = {.ctl = ctl, .change = {.terms = terms, .by = by, .is_operator = true}};
	const char *problem = NULL;
	enum db_status status;
	int result;

	if (terms == NULL || by == NULL)
		result = fail("out of memory");
	else if ((problem = moment_problem(terms)) != NULL ||
	         (problem = account_terms_problem(ctl->ctx, terms, NULL)) != NULL)
		result = fail("%s", problem);
	else {
		status = account_tx_run(&tx, TRANSACTION_RETRIED, apply, &setting);
		result = status == DB_OK ? tell(&setting) : tell_refused(&setting, status);
	}
	json_decref(terms);
	json_decref(by);
	return result;
}
