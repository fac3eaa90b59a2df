/* The receivers behind ones_connect() and ones_connect_to(): which are called, in what order, in which phase. */
#ifndef SESSION_SIGNALS_H
#define SESSION_SIGNALS_H

#include "base/problem.h"
#include "onesession.h"
#include "session/db.h"
#include "session/token.h"

#include <stdbool.h>
#include <talloc.h>

struct signals;

/* What an event's receivers in the transaction work on. Only emission.c makes one. */
struct ones_transaction {
	struct db *db;
	const struct session_key *key; /* of the session that the event is about; NULL: it is about none */
	struct ones_db *sql;           /* the same for modules' statements */
};

/* Empty lists, on `ctx`; `app`, which is kept, is whose they are, or NULL. NULL when out of memory. */
struct signals *signals_new(TALLOC_CTX *ctx, const struct ones_app *app);

const struct ones_app *signals_app(const struct signals *signals);

/* See ones_connect(). Returns 0, or -1 when out of memory or when the name is reserved. */
int signals_connect(struct signals *signals, enum ones_signal signal, const struct ones_receiver *receiver);

/* See ones_disconnect(). False, too, when the name is reserved. */
bool signals_disconnect(struct signals *signals, enum ones_signal signal, const char *name);

/*
 * Reserve the names of all receivers that are connected by now: from then on these are neither replaced nor taken off,
 * and no receiver takes such a name at another signal.
 */
void signals_reserve(struct signals *signals);
bool signals_is_reserved(const struct signals *signals, const char *name);

/* ---- Signals of modules -------------------------------------------------------------------------------------- */

/* Declare the signal called `name`, "cinema.title_added". Returns 0, or -1 with *problem: it is declared already. */
int signals_declare(struct signals *signals, const char *name, struct problem *problem);

/* As signals_connect(), to a signal that may be declared later. `module` is whose receiver it is; it is kept. */
int signals_connect_to(struct signals *signals, const char *name, const char *module,
                       const struct ones_receiver *receiver);

/* When all is declared: returns 0, or -1 with *problem when a receiver is connected to a signal that is not. */
int signals_check(const struct signals *signals, struct problem *problem);

/* The name of a declared signal, as it is kept; NULL: it is not declared. `signals` may be NULL: then none is. */
const char *signals_declared(const struct signals *signals, const char *name);

/* -------------------------------------------------------------------------------------------------------------- */

/*
 * Call the signal's receivers of one phase, lowest order first. In the transaction the first failure or refusal ends it
 * and false is returned; after commit every receiver is called, failures are logged and true is returned.
 */
bool signals_emit(const struct signals *signals, enum ones_phase phase, const struct ones_event *event);

#endif
