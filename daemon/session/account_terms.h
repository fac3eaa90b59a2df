/*
 * The terms of an account, as operators and the site's own programs set them: address, plan, groups, limit, end,
 * whether it is active, the name that others have for it, the hash of its password. They are a JSON object; what they
 * say stands at ones_account_terms_problem() in onesession.h.
 */
#ifndef SESSION_ACCOUNT_TERMS_H
#define SESSION_ACCOUNT_TERMS_H

#include "session/account_tx.h"
#include "session/password.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What is wrong with the terms whatever the account is, in a sentence, constant or on `ctx`; NULL: nothing. `cost` is
 * what a password's hash may cost to verify; NULL: it is one that we have made.
 */
const char *account_terms_problem(TALLOC_CTX *ctx, const json_t *terms, const struct password_cost *cost);

struct terms_change {
	const char *username;
	const json_t *terms; /* with which account_terms_problem() has no problem */
	const json_t *by;    /* who does it, an object for the events' detail: {"token": "shop"}, {"operator": "eve"} */
	bool makes_account;  /* if there is none of that name */
	bool is_operator;    /* may also change what lets an administrator in */
	/* What has become of it: */
	int64_t user_id;
	const char *stored_name; /* as the account has it */
	bool is_new;
	bool is_changed;
	size_t ended;         /* sessions */
	const json_t *before; /* of what has changed, on tx->ctx; no addresses */
	const json_t *after;
};

enum terms_result {
	TERMS_OK,
	TERMS_NO_ACCOUNT,
	TERMS_NO_PLAN,     /* there is none of that name */
	TERMS_NO_ADDRESS,  /* it is to be verified, and there is none */
	TERMS_EMAIL_TAKEN, /* by another account, as its address or name */
	TERMS_ADMIN,       /* an administrator's account, of which operators alone may change that */
};

/*
 * Make or change the account, in a transaction of the caller's; under the lock of the account's row, and with events
 * for what has changed. *result is TERMS_OK, or why nothing is to be changed: the transaction is to be rolled back
 * then. DB_DUPLICATE: another account has that external_id.
 */
enum db_status account_terms_apply(struct account_tx *tx, struct terms_change *change, enum terms_result *result);

#endif
