/* The look-up of sessions by their keys, for many requests in one round trip. rule.c evaluates what it finds. */
#ifndef SESSION_SESSION_LOOKUP_H
#define SESSION_SESSION_LOOKUP_H

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
};

/*
 * The hook's first half: look up the `count` keys, 1 to RULE_KEYS_MAX, of requests of one batch, in one
 * round trip. DB_OK with *lookup on `ctx`, DB_UNAVAILABLE or DB_ERROR.
 */
enum db_status session_lookup(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key keys[], size_t count,
                              struct session_lookup **lookup);

/*
 * The same in the background (see db_start()): once db_is_done() says so session_lookup_finish() gives what
 * session_lookup() would, for the same keys, which have to last until then.
 */
void session_lookup_start(const struct rule *rule, const struct session_key keys[], size_t count);
enum db_status session_lookup_finish(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key keys[],
                                     size_t count, struct session_lookup **lookup);

#endif
