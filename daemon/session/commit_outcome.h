/* Recovery of a lost commit: was a login's transaction committed whose COMMIT was not answered (DB_UNKNOWN)? */
#ifndef SESSION_COMMIT_OUTCOME_H
#define SESSION_COMMIT_OUTCOME_H

#include "session/db.h"
#include "session/token.h"

#include <stdbool.h>
#include <stdint.h>

/* What breaks one connection may break the next few. */
#define COMMIT_OUTCOME_ATTEMPTS 3

/*
 * DB_OK with *committed: whether the session with that key was stored; it then stays stored. DB_UNAVAILABLE or
 * DB_ERROR, and DB_UNKNOWN or DB_CONFLICT after as many attempts: not known.
 */
enum db_status commit_outcome_read(struct db *db, TALLOC_CTX *ctx, int64_t user_id, const struct session_key *key,
                                   bool *committed);

#endif
