/* The steps of a login's transaction. rule.c calls them, in the order of its table. */
#ifndef SESSION_LOGIN_STEPS_H
#define SESSION_LOGIN_STEPS_H

#include "session/account_tx.h"
#include "session/rule.h"

#include <stdint.h>

/* What the steps of one login know, each from those before it. Begin with the first three members set. */
struct login_state {
	const struct rule *rule;
	const struct login_request *request;
	struct rule_login *login;
	int64_t limit;                       /* how many sessions the account may have; 0: any number */
	const struct session_key *presented; /* NULL when the browser's key belongs to no session */
	int64_t presented_user_id;
	const char *presented_username;
	const struct db_result *own; /* the account's live sessions in this browser, OWN_*: the login replaces them */
	enum rule_login_result refusal; /* why a step gave up; RULE_LOGIN_OK: none did, or for another reason */
};

/* DB_OK: on with the next step. Anything else rolls the transaction back. */
typedef enum db_status login_step(struct login_state *state, struct account_tx *tx);

/* The account is active and has the password that was verified, if one was; it becomes the new one that is ordered. */
login_step login_recheck_account;

/* What is used in place of the password is used up, or refuses the login. */
login_step login_use_proof;

/* With a proof and a new password: failed logins are forgotten, and so are the browsers that knew the former one. */
login_step login_forget_failures;

/* Which session does the key that the browser presents belong to? */
login_step login_find_presented;

/* Lock the account, and that of a presented session of another account. */
login_step login_lock_accounts;

/* Which of the account's live sessions are this browser's own? There are some: the login is a rotation of these. */
login_step login_find_own;

/* Whoever has hung up while the account was waited for gets no key, and ends nothing. */
login_step login_drop_cancelled;

/* May a login from another browser displace a session? A change of password has to be a rotation or have a proof. */
login_step login_ask_policy;

/* The ticket may be used once (tickets.h). */
login_step login_use_ticket;

/* The new row in `sessions`, which has to be the account's newest. */
login_step login_insert_session;

/* The presented session and the browser's own end. */
login_step login_end_replaced;

/* Call the receivers, the first of which stores the new key. */
login_step login_emit;

/* The account's other sessions end: beyond the limit, or all of them for a new password. */
login_step login_end_others;

/* Remove a row that was made to lock the other account. */
login_step login_unlock_other;

#endif
