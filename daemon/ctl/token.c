/* onesessionctl token ...: what the site's own programs are let in by at the API. */
#include "base/units.h"
#include "ctl/output.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "session/api_tokens.h"
#include "session/events.h"
#include "session/transaction.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define LIFETIME_MIN_MS INT64_C(1000)
#define LIFETIME_MAX_MS (INT64_C(100) * 366 * 24 * 3600 * 1000)

/* ---- add ------------------------------------------------------------------------------------------------------- */

struct addition {
	const struct ctl *ctl;
	int64_t lifetime_ms;
	char token[API_TOKEN_SIZE];
	struct api_token *made; /* NULL: there is one of that name */
};

/* Are these words, separated by commas, all scopes? */
static bool are_scopes(TALLOC_CTX *ctx, const char *text)
{
	size_t length;

	for (;; text += length + 1) {
		const char *scope;

		length = strcspn(text, ",");
		scope = talloc_strndup(ctx, text, length);
		if (scope == NULL || !api_scope_is_known(scope))
			return false;
		if (text[length] == '\0')
			return true;
	}
}

static enum db_status add(struct db *db, void *context)
{
	struct addition *addition = context;
	const struct ctl *ctl = addition->ctl;
	enum db_status status = api_tokens_add(db, ctl->ctx, ctl->operand, ctl->scope, addition->lifetime_ms,
	                                       addition->token, &addition->made);

	if (status != DB_OK || addition->made == NULL)
		return status;
	return events_record_operator(
		db, "token_added", 0, NULL,
		ctl_operator_detail(ctl->ctx, json_pack("{s:s, s:s}", "name", ctl->operand, "scopes", ctl->scope)));
}

int command_token_add(struct ctl *ctl)
{
	struct addition addition = {.ctl = ctl};
	const char *problem = api_token_name_problem(ctl->operand);
	enum db_status status;
	int result;

	if (problem != NULL)
		return fail("the name %s", problem);
	if (!are_scopes(ctl->ctx, ctl->scope))
		return fail(
			"a scope is users, credentials, sessions or events, several separated by commas, but not %s",
			ctl->scope);
	if (ctl->expires != NULL && (units_parse_duration(ctl->expires, &addition.lifetime_ms) != 0 ||
	                             addition.lifetime_ms < LIFETIME_MIN_MS || addition.lifetime_ms > LIFETIME_MAX_MS))
		return fail("it expires after a time such as 90d, from 1s on, but not %s", ctl->expires);
	status = transaction_run(ctl->db, TRANSACTION_RETRIED, add, &addition);
	if (status != DB_OK)
		result = fail_database(ctl, status);
	else if (addition.made == NULL)
		result = fail("there is a token of that name, or there was one: %s", ctl->operand);
	else if (ctl->json)
		result = output_json(json_pack("{s:s, s:s, s:s, s:o}", "name", ctl->operand, "token", addition.token,
		                               "scopes", addition.made->scopes, "expires_at",
		                               output_time(addition.made->expires_at)));
	else
		result = output_line("%s", addition.token);
	sodium_memzero(addition.token, sizeof addition.token);
	return result;
}

/* ---- list ------------------------------------------------------------------------------------------------------ */

static const char *state_of(const struct api_token *token)
{
	if (token->revoked_at != 0)
		return "revoked";
	return token->has_expired ? "expired" : "good";
}

static json_t *token_json(const void *rows, size_t at)
{
	const struct api_token *token = (const struct api_token *)rows + at;

	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "name", token->name, "state", state_of(token), "scopes",
	                 token->scopes, "created_at", output_time(token->created_at), "expires_at",
	                 output_time(token->expires_at), "last_used_at", output_time(token->last_used_at), "revoked_at",
	                 output_time(token->revoked_at));
}

static int list_for_people(const struct ctl *ctl, const struct api_token tokens[], size_t count)
{
	static const struct table_column columns[] = {
		{.title = "NAME", .shrinks = true},
		{.title = "STATE"},
		{.title = "SCOPES"},
		{.title = "CREATED"},
		{.title = "LAST USED"},
		{.title = "EXPIRES"},
	};
	struct table *table;

	if (count == 0)
		return output_line("No tokens.");
	table = table_new(ctl->ctx, columns, sizeof columns / sizeof columns[0]);
	if (table == NULL)
		return fail("out of memory");
	for (size_t i = 0; i < count; i++) {
		table_cell(table, tokens[i].name);
		table_cell(table, state_of(&tokens[i]));
		table_cell(table, tokens[i].scopes);
		table_cell(table, text_time(table, tokens[i].created_at));
		table_cell(table, text_time(table, tokens[i].last_used_at));
		table_cell(table, tokens[i].expires_at != 0 ? text_time(table, tokens[i].expires_at) : "never");
	}
	return table_print(table, stdout) == 0 ? EXIT_SUCCESS : fail("out of memory");
}

int command_token_list(struct ctl *ctl)
{
	struct api_token *tokens;
	size_t count;
	enum db_status status = api_tokens_list(ctl->db, ctl->ctx, &tokens, &count);

	if (status != DB_OK)
		return fail_database(ctl, status);
	return ctl->json ? output_json_array(count, token_json, tokens) : list_for_people(ctl, tokens, count);
}

/* ---- revoke ---------------------------------------------------------------------------------------------------- */

struct revocation_of_token {
	const struct ctl *ctl;
	bool was_good;
};

static enum db_status revoke(struct db *db, void *context)
{
	struct revocation_of_token *revocation = context;
	const struct ctl *ctl = revocation->ctl;
	enum db_status status = api_tokens_revoke(db, ctl->ctx, ctl->operand, &revocation->was_good);

	if (status != DB_OK || !revocation->was_good)
		return status;
	return events_record_operator(db, "token_revoked", 0, NULL,
	                              ctl_operator_detail(ctl->ctx, json_pack("{s:s}", "name", ctl->operand)));
}

int command_token_revoke(struct ctl *ctl)
{
	struct revocation_of_token revocation = {.ctl = ctl};
	enum db_status status = transaction_run(ctl->db, TRANSACTION_RETRIED, revoke, &revocation);

	if (status != DB_OK)
		return fail_database(ctl, status);
	if (!revocation.was_good)
		return fail("no such token, or it was revoked before: %s", ctl->operand);
	if (ctl->json)
		return output_json(json_pack("{s:s}", "revoked", ctl->operand));
	return output_line("Token %s is revoked.", ctl->operand);
}
