/* A person who is signed in proves again who they are: the session is as fresh as after a login, under another key. */
#ifndef SESSION_CONFIRM_H
#define SESSION_CONFIRM_H

#include "session/rule.h"

struct confirmation {
	const struct user *user;             /* as users_find() gave it; its password is verified already */
	const struct session_key *presented; /* of the session */
	const struct session_key *key;       /* that it gets in its place */
};

/*
 * Give the presented session another key, and write down that the person has just proved who they are. Whoever else has
 * got hold of the former key is not signed in with it any more, and so does not become as fresh (OWASP ASVS 5.0,
 * 7.2.4). The session stays the same one: its id, its data, its place in the order of logins.
 * RULE_LOGIN_OK with login->session. RULE_LOGIN_STALE, RULE_LOGIN_ENDED, RULE_LOGIN_REFUSED with login->refusal,
 * RULE_LOGIN_FAILED or RULE_LOGIN_UNAVAILABLE: nothing has changed.
 */
enum rule_login_result confirm_session(const struct rule *rule, TALLOC_CTX *ctx,
                                       const struct confirmation *confirmation, const struct client *client,
                                       struct rule_login *login);

#endif
