/* Browsers that were signed in to an account before, known by a device cookie. The throttle counts them apart. */
#ifndef SESSION_BROWSERS_H
#define SESSION_BROWSERS_H

#include "session/db.h"
#include "session/token.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The browser with that cookie has signed in to the account: remember it. It gets a new cookie at each login, so `old`
 * (NULL: it had none) becomes `new` for every account that knew it, and its failed logins go along, as do the sessions
 * that are live in it: an old cookie that was stolen or planted is of no use any more. An account keeps the latest ten.
 */
enum db_status browsers_remember(struct db *db, int64_t user_id, const struct session_key *old,
                                 const struct session_key *new);

/* Does the account know the browser with that cookie? */
enum db_status browsers_knows(struct db *db, int64_t user_id, const struct session_key *browser, bool *known);

/* Does the account know browsers, and not the one with that cookie (NULL: it has none)? */
enum db_status browsers_is_new(struct db *db, int64_t user_id, const struct session_key *browser, bool *is_new);

/* The account's password is another one now: forget its browsers, but for the one with the cookie `kept` (may be NULL).
 */
enum db_status browsers_forget(struct db *db, int64_t user_id, const struct session_key *kept);

#endif
