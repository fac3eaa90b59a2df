/* Tokens of the API: found by their keys, made, listed and revoked. */
#include "session/api_tokens.h"

#include "session/sql.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 63

bool api_scopes_have(const char *scopes, const char *scope)
{
	size_t length = strlen(scope);

	while (scopes != NULL && *scopes != '\0') {
		size_t end = strcspn(scopes, ",");

		if (end == length && memcmp(scopes, scope, length) == 0)
			return true;
		scopes += end + (scopes[end] == ',');
	}
	return false;
}

bool api_scope_is_known(const char *scope)
{
	return strchr(scope, ',') == NULL && api_scopes_have("users,credentials,sessions,events", scope);
}

bool api_token_key(const char *text, struct session_key *key)
{
	const size_t length = strlen(API_TOKEN_PREFIX);

	if (text == NULL || !key_is_of_api(text) || !token_is_well_formed(text + length))
		return false;
	*key = token_key(text + length);
	return true;
}

struct api_caller caller_from_row(const struct db_result *rows, size_t row, int column)
{
	if (db_is_null(rows, row, column + CALLER_ID))
		return (struct api_caller){0};
	return (struct api_caller){
		.id = db_int(rows, row, column + CALLER_ID),
		.name = db_text(rows, row, column + CALLER_NAME),
		.scopes = db_text(rows, row, column + CALLER_SCOPES),
		.touch_is_due = db_bool(rows, row, column + CALLER_TOUCH_IS_DUE),
	};
}

enum db_status api_tokens_find(struct db *db, TALLOC_CTX *ctx, const struct session_key *key, struct api_caller *caller)
{
	const struct db_value values[] = {DB_KEY(key)};
	struct db_result *rows;
	enum db_status status = db_query(db, ctx, &sql_find_token, values, 1, &rows);

	*caller = (struct api_caller){0};
	if (status == DB_OK && db_rows(rows) > 0)
		*caller = caller_from_row(rows, 0, 0);
	return status;
}

enum db_status api_tokens_touch(struct db *db, int64_t id)
{
	const struct db_value values[] = {DB_INT(id)};

	return db_query(db, NULL, &sql_touch_token, values, 1, NULL);
}

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* As the column has it. */
const char *api_token_name_problem(const char *name)
{
	const char *problem = "has to be of 1 to 63 letters, digits and . _ : -, and begins with a letter or digit";

	if (!is_letter_or_digit(name[0]) || strlen(name) > NAME_MAX_BYTES)
		return problem;
	for (; *name != '\0'; name++) {
		if (!is_letter_or_digit(*name) && strchr("._:-", *name) == NULL)
			return problem;
	}
	return NULL;
}

static struct api_token token_from_row(const struct db_result *rows, size_t row)
{
	return (struct api_token){
		.name = db_text(rows, row, TOKEN_NAME),
		.scopes = db_text(rows, row, TOKEN_SCOPES),
		.created_at = db_time(rows, row, TOKEN_CREATED_AT),
		.expires_at = db_time_or_never(rows, row, TOKEN_EXPIRES_AT),
		.last_used_at = db_time_or_never(rows, row, TOKEN_LAST_USED_AT),
		.revoked_at = db_time_or_never(rows, row, TOKEN_REVOKED_AT),
	};
}

enum db_status api_tokens_add(struct db *db, TALLOC_CTX *ctx, const char *name, const char *scopes, int64_t lifetime_ms,
                              char token[API_TOKEN_SIZE], struct api_token **made)
{
	char secret[TOKEN_LENGTH + 1];
	struct session_key key;
	struct db_result *rows;
	enum db_status status;

	*made = NULL;
	token_generate(secret);
	key = token_key(secret);
	(void)snprintf(token, API_TOKEN_SIZE, "%s%s", API_TOKEN_PREFIX, secret);
	sodium_memzero(secret, sizeof secret);
	{
		const struct db_value values[] = {
			DB_TEXT(name),
			DB_KEY(&key),
			DB_TEXT(scopes),
			lifetime_ms > 0 ? DB_INT(lifetime_ms) : DB_NULL,
		};

		status = db_query(db, ctx, &sql_add_token, values, 4, &rows);
	}
	if (status != DB_OK || db_rows(rows) == 0)
		return status;
	*made = talloc(ctx, struct api_token);
	if (*made == NULL)
		return db_out_of_memory(db);
	**made = token_from_row(rows, 0);
	return DB_OK;
}

static void read_listed(const struct db_result *rows, size_t row, void *item)
{
	struct api_token *token = item;

	*token = token_from_row(rows, row);
	token->has_expired = db_bool(rows, row, TOKEN_HAS_EXPIRED);
}

enum db_status api_tokens_list(struct db *db, TALLOC_CTX *ctx, struct api_token **tokens, size_t *count)
{
	enum db_status status;

	*tokens = db_query_list(db, ctx, &sql_list_tokens, NULL, 0, sizeof **tokens, read_listed, count, &status);
	return status;
}

enum db_status api_tokens_revoke(struct db *db, TALLOC_CTX *ctx, const char *name, bool *was_good)
{
	const struct db_value values[] = {DB_TEXT(name)};
	struct db_result *rows;
	enum db_status status = db_query(db, ctx, &sql_revoke_token, values, 1, &rows);

	*was_good = status == DB_OK && db_rows(rows) > 0;
	return status;
}
