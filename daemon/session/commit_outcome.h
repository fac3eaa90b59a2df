/*
 * Recovery of a lost commit: was a transaction committed that gives a session its key, and whose COMMIT was not
 * answered (DB_UNKNOWN)?
 */
#ifndef SESSION_COMMIT_OUTCOME_H
#define SESSION_COMMIT_OUTCOME_H

#include "session/account_tx.h"
#include "session/token.h"

#include <stdint.h>

/*
 * account_tx_run() for a body that gives a session of the account the new key `key`: when the outcome of its COMMIT is
 * not known, it is read back whether there is a session with that key; if not, the body runs again. DB_UNKNOWN only
 * when that has failed, too.
 */
enum db_status commit_outcome_run(struct account_tx *tx, int64_t user_id, const struct session_key *key,
                                  account_tx_body *body, void *context);

#endif
