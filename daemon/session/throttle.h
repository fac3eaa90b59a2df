/*
 * The throttle: failed logins are counted in the database, so over all hosts, for each account (or name of no account),
 * for each address and for each larger network of IPv6, over login.attempts_window. A browser that was signed in to the
 * account before (see browsers.h) is counted by itself and not delayed by the failures of others, so that an attacker
 * cannot lock the owner out (OWASP, "Slow down online guessing attacks with device cookies"); when its own tries are
 * used up it is like any other.
 */
#ifndef SESSION_THROTTLE_H
#define SESSION_THROTTLE_H

#include "session/db.h"
#include "session/token.h"

#include <netinet/in.h>
#include <stdint.h>

/* 0 for a limit: it is off. */
struct throttle_policy {
	int64_t per_user;
	int64_t per_address;
	int64_t window_ms;
};

/* What a login is counted under. */
struct throttle_subject {
	const char *username;             /* see users_login_subject() */
	int64_t user_id;                  /* 0: no account has the name or address */
	const char *ip;                   /* "" when it is not known: then no address is counted */
	const struct session_key *device; /* the key of the browser's device cookie, NULL without one */
};

/*
 * May a login be tried? *wait_s becomes 0, or how many seconds until it may: to be asked before the password is
 * verified and again after it was found right, lest tries at the same moment be more than those one after the other.
 * One round trip; nothing is written.
 */
enum db_status throttle_check(struct db *db, const struct throttle_policy *policy,
                              const struct throttle_subject *subject, int64_t *wait_s);

/*
 * The password was wrong: count it. *wait_s is as above, of this very try: more than 0 when others have used up the
 * tries meanwhile. The failure that uses them up is written to `events` as login_throttled, once in each window.
 */
enum db_status throttle_count_failure(struct db *db, const struct throttle_policy *policy,
                                      const struct throttle_subject *subject, int64_t *wait_s);

/*
 * Count a request for `what` ("session.forgot") by the client's address and its larger network alone, and apart from
 * failed logins; policy->per_user does not count. *wait_s is as above: more than 0 when it is one too many.
 * The one before that is written to `events` as requests_throttled, once in each window.
 */
enum db_status throttle_count_request(struct db *db, const struct throttle_policy *policy, const char *what,
                                      const char *ip, int64_t *wait_s);

/*
 * Forget the failures at an account and of the browsers that it knows, for an operator: *count is their number.
 * Those of an address are not the account's.
 */
enum db_status throttle_forget(struct db *db, int64_t user_id, int64_t *count);

#define THROTTLE_NETWORK_SIZE (INET6_ADDRSTRLEN + 4)

/*
 * What an address is counted as: an IPv4 one as itself, also in the form that IPv6 has for it; any other IPv6 one as
 * the network of its first 64 bits, of which one customer has at least one. False for what is no address.
 */
bool throttle_address(const char *ip, char address[THROTTLE_NETWORK_SIZE]);

/*
 * An IPv6 address is counted a second time as the network of its first 48 bits, for one customer may have all of that:
 * a company, or a user of a tunnel. Others share it, as the telephones of one provider do: it has ten times the tries.
 * False for IPv4, and for what is no address.
 */
bool throttle_network(const char *ip, char network[THROTTLE_NETWORK_SIZE]);

#endif
