/* The receivers behind ones_connect(): which are called, in what order, in which phase. */
#ifndef SESSION_SIGNALS_H
#define SESSION_SIGNALS_H

#include "onesession.h"
#include "session/db.h"
#include "session/token.h"

#include <stdbool.h>
#include <talloc.h>

struct signals;

/* What an event's receivers in the transaction work on. Only the rule makes one. */
struct ones_transaction {
	struct db *db;
	const struct session_key *key; /* of the session that the event is about; NULL at a failed login */
	struct ones_db *sql;           /* the same for modules' statements */
};

/* Empty lists, on `ctx`. NULL when out of memory. */
struct signals *signals_new(TALLOC_CTX *ctx);

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

/*
 * Call the signal's receivers of one phase, lowest order first. In the transaction the first failure ends it and
 * false is returned; after commit every receiver is called, failures are logged and true is returned.
 */
bool signals_emit(const struct signals *signals, enum ones_phase phase, const struct ones_event *event);

#endif
