/* Links and codes of mails. */
#include "session/mail_tokens.h"

#include "session/mail_sql.h"
#include "session/transaction.h"

#include <sodium.h>
#include <string.h>

/* NULL when out of memory. */
static struct mail_token *token_of(TALLOC_CTX *ctx, const struct db_result *found, size_t at)
{
	struct mail_token *token = talloc(ctx, struct mail_token);
	size_t size = 0;
	const uint8_t *key = db_bytes(found, at, MAIL_TOKEN_KEY, &size);

	if (token == NULL)
		return NULL;
	*token = (struct mail_token){
		.user_id = db_int(found, at, MAIL_TOKEN_USER_ID),
		.recipient = talloc_strdup(token, db_text(found, at, MAIL_TOKEN_RECIPIENT)),
		.purpose = talloc_strdup(token, db_text(found, at, MAIL_TOKEN_PURPOSE)),
		.data = talloc_strdup(token, db_text(found, at, MAIL_TOKEN_DATA)),
		.sent_at = db_time(found, at, MAIL_TOKEN_SENT_AT),
		.expires_at = db_time(found, at, MAIL_TOKEN_EXPIRES_AT),
	};
	memcpy(token->key.bytes, key, sizeof token->key.bytes);
	if (token->recipient == NULL || token->purpose == NULL || token->data == NULL)
		TALLOC_FREE(token);
	return token;
}

enum db_status mail_tokens_find(struct db *db, TALLOC_CTX *ctx, const char *purposes, const char *token,
                                struct mail_token **found)
{
	TALLOC_CTX *scratch = talloc_new(ctx);
	struct session_key key;
	struct db_result *rows;
	enum db_status status;

	*found = NULL;
	if (!token_is_well_formed(token)) {
		talloc_free(scratch);
		return DB_OK;
	}
	key = token_key(token);
	status = db_query(db, scratch, &sql_find_mail_token, (const struct db_value[]){DB_KEY(&key), DB_TEXT(purposes)},
	                  2, &rows);
	if (status == DB_OK && db_rows(rows) > 0) {
		*found = token_of(ctx, rows, 0);
		if (*found == NULL)
			status = db_out_of_memory(db);
	}
	talloc_free(scratch);
	return status;
}

/* ---- Codes --------------------------------------------------------------------------------------------------- */

struct trial {
	TALLOC_CTX *ctx;
	const char *purposes;
	const char *login;
	struct session_key key;
	struct mail_token *found;
};

/* As people type them, in groups. What is no code becomes one that nobody has. */
static struct session_key key_of_code(const char *code)
{
	unsigned char digits[MAIL_CODE_LENGTH + 1] = "";
	struct session_key key;
	size_t length = 0;

	for (; *code != '\0' && length < sizeof digits; code++) {
		if (*code != ' ' && *code != '-')
			digits[length++] = (unsigned char)*code;
	}
	(void)crypto_hash_sha256(key.bytes, digits, length);
	sodium_memzero(digits, sizeof digits);
	return key;
}

/* Whether a code of the account's was tried, and none was right. */
static enum db_status compare(struct db *db, TALLOC_CTX *scratch, struct trial *trial, int64_t account, bool may_try,
                              bool *was_wrong)
{
	const struct db_value values[] = {
		DB_TEXT(trial->purposes),
		DB_INT(account),
		DB_TEXT(trial->login),
		DB_KEY(&trial->key),
		DB_INT(may_try ? MAIL_CODE_TRIES : 0),
	};
	struct db_result *tried;
	enum db_status status = db_query(db, scratch, &sql_try_mail_code, values, 5, &tried);

	if (status != DB_OK)
		return status;
	for (size_t i = 0; i < db_rows(tried) && trial->found == NULL; i++) {
		if (db_bool(tried, i, MAIL_TOKEN_IS_RIGHT) && (trial->found = token_of(trial->ctx, tried, i)) == NULL)
			return db_out_of_memory(db);
	}
	*was_wrong = db_rows(tried) > 0 && trial->found == NULL;
	return DB_OK;
}

/*
 * The same statements for everybody, and the same rows written: that of the day's tries is held meanwhile, so that of a
 * hundred tries at once no more than three are made.
 */
static enum db_status try_code(struct db *db, void *context)
{
	struct trial *trial = context;
	const struct db_value login[] = {DB_TEXT(trial->login)};
	TALLOC_CTX *scratch = talloc_new(trial->ctx);
	struct db_result *account, *tries;
	bool was_wrong = false;
	enum db_status status = db_query(db, scratch, &sql_mail_code_account, login, 1, &account);

	TALLOC_FREE(trial->found);
	if (status == DB_OK)
		status = db_query(db, scratch, &sql_hold_code_tries,
		                  (const struct db_value[]){DB_TEXT(db_text(account, 0, 0))}, 1, &tries);
	if (status == DB_OK)
		status = compare(db, scratch, trial, db_int(account, 0, 1), db_int(tries, 0, 0) < MAIL_CODE_TRIES_DAY,
		                 &was_wrong);
	if (status == DB_OK)
		status = db_query(db, NULL, &sql_count_code_try,
		                  (const struct db_value[]){DB_TEXT(db_text(account, 0, 0)), DB_INT(was_wrong ? 1 : 0)},
		                  2, NULL);
	talloc_free(scratch);
	return status;
}

enum db_status mail_tokens_try_code(struct db *db, TALLOC_CTX *ctx, const char *purposes, const char *login,
                                    const char *code, struct mail_token **found)
{
	struct trial trial = {.ctx = ctx, .purposes = purposes, .login = login, .key = key_of_code(code)};
	enum db_status status = transaction_run(db, TRANSACTION_RETRIED, try_code, &trial);

	*found = status == DB_OK ? trial.found : NULL;
	return status;
}

/* ---- The end of them ----------------------------------------------------------------------------------------- */

enum db_status mail_tokens_use(struct db *db, const struct session_key *key, const char *purpose, bool *was_there)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *used;
	enum db_status status = db_query(db, scratch, &sql_use_mail_token,
	                                 (const struct db_value[]){DB_KEY(key), DB_TEXT(purpose)}, 2, &used);

	*was_there = status == DB_OK && db_rows(used) > 0;
	talloc_free(scratch);
	return status;
}

enum db_status mail_tokens_drop(struct db *db, int64_t user_id, const char *purpose)
{
	const struct db_value values[] = {DB_INT(user_id), DB_TEXT(purpose)};

	enum db_status status = db_query(db, NULL, &sql_drop_mails, values, 2, NULL);

	return status == DB_OK ? db_query(db, NULL, &sql_drop_mail_tokens, values, 2, NULL) : status;
}

enum db_status mail_tokens_withdraw(struct db *db, int64_t user_id)
{
	const struct db_value values[] = {DB_INT(user_id)};
	enum db_status status = db_query(db, NULL, &sql_withdraw_mails, values, 1, NULL);

	return status == DB_OK ? db_query(db, NULL, &sql_withdraw_mail_tokens, values, 1, NULL) : status;
}
