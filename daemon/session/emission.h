/* What is emitted in one transaction: told to the receivers in it, and kept for those after its commit. */
#ifndef SESSION_EMISSION_H
#define SESSION_EMISSION_H

#include "onesession.h"
#include "session/db.h"
#include "session/module_sql.h"
#include "session/signals.h"
#include "session/token.h"

#include <stdbool.h>
#include <talloc.h>

/* How deep receivers may emit in each other: two that call each other would not end. */
#define EMISSION_DEPTH_MAX 8

/* Begin one with the first two members set. */
struct emission {
	TALLOC_CTX *ctx;    /* of request or job: what is kept is on it */
	bool can_refuse;    /* what is done was asked for, and whoever asked can be told why not: see ones_refuse() */
	bool has_failed;    /* a receiver has failed or refused: nothing is to be committed */
	unsigned int depth; /* receivers that are being called */
	struct ones_refusal refusal; /* .code is NULL: none */
	unsigned int count;
	struct ones_event *events;
};

/* The transaction begins, perhaps once more: what its former run has emitted is forgotten. */
void emission_begin(struct emission *emission);

/*
 * Emit the event to the receivers in the transaction, in which `db` has to be. Its texts, none of them NULL, and its
 * data must last until emission_committed(). DB_OK, or the status that the transaction is to be rolled back for:
 * DB_REFUSED with the reason in the emission, DB_ERROR when a receiver has failed.
 */
enum db_status emission_emit(const struct ones_db *db, const struct session_key *key, const struct ones_event *event);

/* The transaction was committed: call the receivers after the commit. */
void emission_committed(const struct emission *emission, const struct signals *signals);

#endif
