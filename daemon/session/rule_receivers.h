/* The receivers that are part of the rule. */
#ifndef SESSION_RULE_RECEIVERS_H
#define SESSION_RULE_RECEIVERS_H

#include "session/db.h"
#include "session/signals.h"
#include "session/token.h"

#include <stdint.h>

/*
 * Connect the receivers that are part of the rule: they store and clear logged_in_user and write events.
 * Returns 0, or -1 when out of memory.
 */
int rule_connect_receivers(struct signals *signals);

/* Store the account's key in logged_in_user, in a transaction that holds the account's row. */
enum db_status stored_key_set(struct db *db, int64_t user_id, const struct session_key *key);

#endif
