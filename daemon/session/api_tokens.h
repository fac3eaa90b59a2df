/* Tokens of the API, by which the site's own programs are let in. */
#ifndef SESSION_API_TOKENS_H
#define SESSION_API_TOKENS_H

#include "base/key_from.h"
#include "session/db.h"
#include "session/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* 43 characters follow its prefix, as in a session's. */
#define API_TOKEN_SIZE (sizeof API_TOKEN_PREFIX + TOKEN_LENGTH)

/* A program that is let in. */
struct api_caller {
	int64_t id;       /* of the token; 0: nobody is */
	const char *name; /* of the token */
	const char *scopes;
	bool touch_is_due; /* last_used_at is to be written: api_tokens_touch() */
};

/* Is `scope` one of those that `scopes`, separated by commas, has in it? */
bool api_scopes_have(const char *scopes, const char *scope);

/* Is it one that there is? */
bool api_scope_is_known(const char *scope);

/* The key of the token that `text` is. False when it has not the form of one. */
bool api_token_key(const char *text, struct session_key *key);

/* From columns of enum caller_column, the first of which is `column`; strings are the rows'. */
struct api_caller caller_from_row(const struct db_result *rows, size_t row, int column);

/* The program whose token has that key, on `ctx`; caller->id is 0 when it is not good. */
enum db_status api_tokens_find(struct db *db, TALLOC_CTX *ctx, const struct session_key *key,
                               struct api_caller *caller);

/* Write down that it was used. */
enum db_status api_tokens_touch(struct db *db, int64_t id);

/* A token as operators see it. Times are us since 1970; 0: never. */
struct api_token {
	const char *name;
	const char *scopes; /* separated by commas */
	int64_t created_at;
	int64_t expires_at;
	int64_t last_used_at;
	int64_t revoked_at;
	bool has_expired;
};

/* Why there can be no token of that name, or NULL. */
const char *api_token_name_problem(const char *name);

/*
 * Make one, in a transaction: `token` is what the program is given, and is stored nowhere. `lifetime_ms` 0: it does not
 * expire. *made, on `ctx`, is NULL when there is, or was, one of that name.
 */
enum db_status api_tokens_add(struct db *db, TALLOC_CTX *ctx, const char *name, const char *scopes, int64_t lifetime_ms,
                              char token[API_TOKEN_SIZE], struct api_token **made);

/* All of them by name, on `ctx`. */
enum db_status api_tokens_list(struct db *db, TALLOC_CTX *ctx, struct api_token **tokens, size_t *count);

/* In a transaction: it is good for nothing any more. *was_good: it was not revoked before. */
enum db_status api_tokens_revoke(struct db *db, TALLOC_CTX *ctx, const char *name, bool *was_good);

#endif
