/* The look-up of sessions by their keys, for many requests in one round trip. rule.c evaluates what it finds. */
#ifndef SESSION_SESSION_LOOKUP_H
#define SESSION_SESSION_LOOKUP_H

#include "session/api_tokens.h"
#include "session/db.h"
#include "session/rule.h"
#include "session/token.h"

#include <stddef.h>
#include <talloc.h>

/* The rows of some keys at one moment. */
struct session_lookup {
	struct db_result *rows;
	struct session_key keys[RULE_KEYS_MAX];
	size_t row_of[RULE_KEYS_MAX];
	bool has_callers; /* their keys were given */
};

/*
 * The hook's first half: look up the `count` keys, 1 to RULE_KEYS_MAX, of requests of one batch, in one
 * round trip. DB_OK with *lookup on `ctx`, DB_UNAVAILABLE or DB_ERROR. `callers` (NULL: none) are keys of tokens of the
 * API, one for each, all zero where there is none: see session_lookup_caller().
 */
enum db_status session_lookup(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key keys[],
                              const struct session_key callers[], size_t count, struct session_lookup **lookup);

/* The program whose token's key was number `which`; strings are the look-up's. Its id is 0 when the token is not good.
 */
struct api_caller session_lookup_caller(const struct session_lookup *lookup, size_t which);

/*
 * The same in the background (see db_start()): once db_is_done() says so session_lookup_finish() gives what
 * session_lookup() would, for the same keys, which have to last until then.
 */
void session_lookup_start(const struct rule *rule, const struct session_key keys[], const struct session_key callers[],
                          size_t count);
enum db_status session_lookup_finish(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key keys[],
                                     bool has_callers, size_t count, struct session_lookup **lookup);

#endif
