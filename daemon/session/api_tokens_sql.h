/* What is asked of a token of the API, the same in all statements. */
#ifndef SESSION_API_TOKENS_SQL_H
#define SESSION_API_TOKENS_SQL_H

/* `row` is the alias of a row of api_tokens. */
#define SQL_TOKEN_IS_GOOD(row) row ".revoked_at IS NULL AND coalesce(" row ".expires_at > statement_timestamp(), true)"

/* last_used_at is written once a minute. */
#define SQL_TOKEN_TOUCH_IS_DUE(row)                                                                                    \
	"coalesce(" row ".last_used_at <= statement_timestamp() - interval '1 minute', true)"

/* The columns of enum caller_column. */
#define SQL_CALLER(row) row ".id, " row ".name, array_to_string(" row ".scopes, ',')," SQL_TOKEN_TOUCH_IS_DUE(row)

#endif
