/* The session keys that a request presents: where they stand, in which order they count, and how a new one is given. */
#ifndef API_KEYS_H
#define API_KEYS_H

#include "api/exchange.h"

#include <stdbool.h>

/*
 * Find the keys of a request that has not been taken in yet, without allocation: those of the application's making,
 * where there are such (session.key_from); then those in the daemon's own cookies; and, where none of the latter is
 * there, one in Authorization (session.bearer), which is looked up beside them, too, to be kept from the application.
 * Over http a neighbouring host can plant a cookie, and an old one may have stayed: only the database knows which key
 * is live.
 *
 * Of the application's making there are, too, those that it may read in what is written otherwise: see
 * http/cookie_spellings.h. In these places the request is in doubt, and nobody's: with more of both than are looked up;
 * and with an Authorization that is neither Bearer nor token68, where that has the application's keys.
 */
void keys_peek(const struct ones_app *app, const struct fcgi *fcgi, struct app_preview *preview);

/* Those of a request that has been given another one, or none. */
void keys_forget(struct app_preview *preview);

/* Does the configuration say that a key may stand in Authorization? */
bool keys_may_be_in_authorization(const struct ones_app *app);

/* Did req->preview.keys[number] stand in Authorization, whoever has made it? */
bool keys_is_in_authorization(const struct ones_request *req, size_t number);

/* The first one in a cookie of the daemon's own; NULL: there is none. */
const struct session_key *keys_own(const struct ones_request *req);

/*
 * Does a new key go into the answer to a program, which keeps it by itself, and not into a cookie? It does when the
 * program asks for that, and when its live session's key has come in Authorization.
 */
bool keys_go_into_answer(const struct ones_request *req, bool is_wanted);

/* Give the client its new key: in login->token, or in the cookie. */
void keys_give(struct ones_request *req, const char *token, bool is_in_answer, struct ones_login *login);

#endif
