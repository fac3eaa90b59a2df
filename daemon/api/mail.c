/* Mail as handlers, receivers and jobs write it: behind ones_mail(). */
#include "api/mail.h"

#include "api/module.h"
#include "base/config_sections.h"
#include "base/email.h"
#include "base/log.h"
#include "base/utf8.h"
#include "http/language.h"
#include "session/mail_tokens.h"
#include "session/mails.h"
#include "session/module_sql.h"
#include "session/signals.h"
#include "session/users.h"

#include <stdlib.h>
#include <string.h>

#define DATA_MAX        ((size_t)64 * 1024)
#define LOGIN_MAX       512 /* bytes; longer than any name or address */
#define LIFETIME_MIN_MS INT64_C(1000)
#define LIFETIME_MAX_MS (INT64_C(366) * 24 * 3600 * 1000)

const char *mail_page_plain(TALLOC_CTX *ctx, const char *kind)
{
	return talloc_asprintf(ctx, "mail/%s.txt", kind);
}

const char *mail_page_html(TALLOC_CTX *ctx, const char *kind)
{
	return talloc_asprintf(ctx, "mail/%s.html", kind);
}

const char *mail_subject_key(TALLOC_CTX *ctx, const char *kind)
{
	return talloc_asprintf(ctx, "mail.%s_subject", kind);
}

bool ones_can_mail(const struct ones_app *app)
{
	return app->settings->mail.server[0] != '\0';
}

/* ---- Writing ------------------------------------------------------------------------------------------------- */

/* A mistake of the module's. In a transaction it is not to be committed without its mail. */
static enum ones_result fault(const struct ones_db *db, const char *kind, const char *problem)
{
	log_error("mail_fault", LOG_STR("kind", kind), LOG_STR("problem", problem),
	          LOG_STR("purpose", db != NULL ? db->purpose : ""));
	return ONES_RESULT_FAILED;
}

/* Whose code writes it. */
static const struct module *module_of(const struct ones_app *app)
{
	return app->current != NULL ? app->current : app->modules[0];
}

static bool has_page(TALLOC_CTX *ctx, const struct pages *pages, const char *kind)
{
	const char *page = mail_page_plain(ctx, kind), *key = mail_subject_key(ctx, kind);
	size_t size;

	return page != NULL && key != NULL && pages_file(pages, page, &size) != NULL && pages_have_text(pages, key);
}

/* NULL: nothing is wrong with it. */
static const char *problem_of(const struct ones_db *db, const struct ones_mail *mail)
{
	int receivers = (mail->user_id != 0) + (mail->login != NULL);

	if (db == NULL || db->refusal != NULL || db->signals == NULL)
		return "there is no database here, or no daemon that would send it";
	if (mail->kind == NULL || !config_section_can_be(mail->kind))
		return "its kind is not a letter and then letters, digits and _, all of them small, up to 31";
	if (!has_page(db->ctx, module_of(signals_app(db->signals))->pages, mail->kind))
		return "there is no page mail/KIND.txt, or no text mail.KIND_subject";
	if (mail->kind_if_taken != NULL &&
	    (mail->to == NULL || !config_section_can_be(mail->kind_if_taken) ||
	     !has_page(db->ctx, module_of(signals_app(db->signals))->pages, mail->kind_if_taken)))
		return "kind_if_taken is without `to`, or there is no page or subject for it";
	if (receivers > 1 || (receivers == 0 && mail->to == NULL) || (mail->login != NULL && mail->to != NULL))
		return "it is for nobody, or for several: user_id, login, to, or user_id and to";
	if (mail->purpose == NULL ? mail->path != NULL || mail->lifetime_ms != 0
	                          : !config_section_can_be(mail->purpose) || mail->lifetime_ms < LIFETIME_MIN_MS ||
	                                    mail->lifetime_ms > LIFETIME_MAX_MS)
		return "purpose, lifetime_ms and path do not go together, or are none";
	if (mail->path != NULL && (mail->path[0] != '/' || strpbrk(mail->path, "?#") != NULL))
		return "its path does not begin with a slash, or has a query";
	if (mail->language != NULL && !language_is_tag(mail->language))
		return "its language is no tag of one";
	return NULL;
}

/* *data as it is stored, on `ctx`; or why it cannot be. */
static const char *data_of(TALLOC_CTX *ctx, const json_t *values, const char **data)
{
	char *text;

	*data = "{}";
	if (values == NULL)
		return NULL;
	text = json_is_object(values) ? json_dumps(values, JSON_COMPACT) : NULL;
	if (text == NULL)
		return "its values are no object, or memory has run out";
	*data = talloc_strdup(ctx, text);
	free(text);
	if (*data == NULL)
		return "out of memory";
	if (strlen(*data) > DATA_MAX)
		return "its values have more than 64 KiB";
	/* PostgreSQL has no text with it. */
	return strstr(*data, "\\u0000") != NULL ? "its values have U+0000 in them" : NULL;
}

/* An address is looked for in its one form, and anything else as a name. NULL when out of memory. */
static const char *login_of(TALLOC_CTX *ctx, const char *typed, char address[EMAIL_SIZE])
{
	const char *plain = users_plain_name(ctx, typed);
	char *copy;

	if (plain == NULL || email_parse(plain, address) == NULL)
		return plain != NULL ? address : NULL;
	copy = talloc_zero_size(ctx, LOGIN_MAX);
	if (copy != NULL)
		utf8_clean(plain, copy, LOGIN_MAX);
	return copy;
}

/* Not cleaned: the caller has looked at it. */
static enum ones_result add(struct ones_db *db, TALLOC_CTX *ctx, const struct ones_mail *mail)
{
	struct mail_draft draft = {
		.module = module_of(signals_app(db->signals))->name,
		.kind = mail->kind,
		.kind_if_taken = mail->kind_if_taken,
		.user_id = mail->user_id,
		.language = mail->language != NULL ? mail->language : "",
		.purpose = mail->purpose,
		.lifetime_ms = mail->lifetime_ms,
		.path = mail->path,
		.is_notice = mail->is_notice,
	};
	char login[EMAIL_SIZE], to[EMAIL_SIZE];
	const char *problem = data_of(ctx, mail->values, &draft.data);
	enum db_status status;

	if (problem != NULL)
		return fault(db, mail->kind, problem);
	if (mail->to != NULL) {
		if (email_parse(mail->to, to) != NULL)
			return ONES_RESULT_VIOLATION;
		draft.recipient = to;
	}
	if (mail->login != NULL) {
		draft.login = login_of(ctx, mail->login, login);
		if (draft.login == NULL)
			return fault(db, mail->kind, "out of memory");
	}
	db_set_time_limit(db->db, db->until_ms);
	status = mails_add(db->db, &draft);
	db_set_time_limit(db->db, 0);
	return module_sql_result(status);
}

enum ones_result ones_mail(struct ones_db *db, const struct ones_mail *mail)
{
	const char *problem = problem_of(db, mail);
	enum ones_result result;

	if (problem != NULL)
		result = fault(db, mail->kind, problem);
	else if (!ones_can_mail(signals_app(db->signals)))
		result = ONES_RESULT_OK;
	else {
		TALLOC_CTX *scratch = talloc_new(db->ctx);

		result = add(db, scratch, mail);
		talloc_free(scratch);
	}
	json_decref(mail->values);
	return result;
}

/* ---- Links and codes ----------------------------------------------------------------------------------------- */

/* What a module gets, and what is known of it besides. */
struct found_token {
	struct ones_mail_token token;
	struct session_key key;
};

static int let_go(struct found_token *found)
{
	json_decref(found->token.values);
	return 0;
}

/* NULL when out of memory. */
static const struct ones_mail_token *keep(TALLOC_CTX *ctx, const struct mail_token *token)
{
	struct found_token *found = talloc_zero(ctx, struct found_token);

	if (found == NULL)
		return NULL;
	talloc_set_destructor(found, let_go);
	found->key = token->key;
	found->token = (struct ones_mail_token){
		.user_id = token->user_id,
		.recipient = talloc_strdup(found, token->recipient),
		.values = json_loads(token->data, 0, NULL),
		.sent_at = token->sent_at,
		.expires_at = token->expires_at,
		.purpose = talloc_strdup(found, token->purpose),
	};
	if (found->token.purpose == NULL || found->token.recipient == NULL || found->token.values == NULL)
		TALLOC_FREE(found);
	return found != NULL ? &found->token : NULL;
}

static enum db_status find(struct ones_db *db, TALLOC_CTX *ctx, const char *purposes, const struct ones_mail_key *key,
                           struct mail_token **token)
{
	char address[EMAIL_SIZE];
	const char *login;

	if (key->token != NULL)
		return mail_tokens_find(db->db, ctx, purposes, key->token, token);
	login = login_of(ctx, key->login, address);
	return login != NULL ? mail_tokens_try_code(db->db, ctx, purposes, login, key->code, token)
	                     : db_out_of_memory(db->db);
}

enum ones_result ones_find_mail_token(struct ones_db *db, const char *purposes, const struct ones_mail_key *key,
                                      const struct ones_mail_token **found)
{
	struct mail_token *token = NULL;
	TALLOC_CTX *scratch;
	enum db_status status;

	*found = NULL;
	if (db == NULL || db->refusal != NULL)
		return fault(db, purposes, "there is no database here");
	if (key->token == NULL && (key->login == NULL || key->code == NULL))
		return fault(db, purposes, "neither a token, nor login and code");
	if (key->token == NULL && db->in_transaction)
		return fault(db, purposes, "a code in a transaction: the count of wrong ones would be rolled back");
	scratch = talloc_new(db->ctx);
	db_set_time_limit(db->db, db->until_ms);
	status = find(db, scratch, purposes, key, &token);
	db_set_time_limit(db->db, 0);
	if (status == DB_OK && token != NULL && (*found = keep(db->ctx, token)) == NULL)
		status = db_out_of_memory(db->db);
	talloc_free(scratch);
	return status == DB_OK && *found == NULL ? ONES_RESULT_INVALID : module_sql_result(status);
}

enum ones_result ones_use_mail_token(struct ones_db *db, const struct ones_mail_token *token)
{
	const struct found_token *found = (const struct found_token *)(const void *)token;
	bool was_there = false;
	enum db_status status;

	if (db == NULL || !db->in_transaction)
		return fault(db, token->purpose, "a token is used up in the transaction of what it is used for");
	db_set_time_limit(db->db, db->until_ms);
	status = mail_tokens_use(db->db, &found->key, token->purpose, &was_there);
	db_set_time_limit(db->db, 0);
	return status == DB_OK && !was_there ? ONES_RESULT_INVALID : module_sql_result(status);
}

enum ones_result ones_drop_mail_tokens(struct ones_db *db, int64_t user_id, const char *purpose)
{
	enum db_status status;

	if (db == NULL || db->refusal != NULL)
		return fault(db, purpose != NULL ? purpose : "", "there is no database here");
	db_set_time_limit(db->db, db->until_ms);
	status = mail_tokens_drop(db->db, user_id, purpose);
	db_set_time_limit(db->db, 0);
	return module_sql_result(status);
}
