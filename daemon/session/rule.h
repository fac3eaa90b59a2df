/* The rule of one live session: see rule.c, which is meant to be read first. */
#ifndef SESSION_RULE_H
#define SESSION_RULE_H

#include "base/settings.h"
#include "onesession.h"
#include "session/account_tx.h"
#include "session/db.h"
#include "session/module_sql.h"
#include "session/sharing.h"
#include "session/signals.h"
#include "session/token.h"
#include "session/users.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the rule needs to know of the configuration. Durations in milliseconds, 0 for "off". */
struct rule_policy {
	int64_t max_sessions; /* for accounts without a limit of their own; 0: no limit */
	enum on_limit on_limit;
	struct sharing_policy sharing;
	int64_t lifetime;
	int64_t idle_timeout;
	int64_t touch_interval;
};

struct rule {
	struct db *db;
	const struct signals *signals;
	struct rule_policy policy;
};

struct rule_verdict {
	bool live;
	bool touch_due; /* last_seen_at is older than touch_interval: call rule_start_touch() when the answer is out */
	int64_t now;    /* us since 1970, by the database's clock: when that was so */
	struct ones_session session; /* when there is a row, be it live or not; strings on the ctx or the lookup */
	enum ones_reason reason;     /* when not */
	int64_t ended_at;            /* us since 1970; 0 when not known */
	/* Of the session that ended it, and of the session itself. NULL when not known. */
	const char *by_user_agent;
	const char *by_ip;
	const char *user_agent;
	const char *ip;
};

/* The most keys that are looked up together. */
#define RULE_KEYS_MAX 32

struct session_lookup;

/* True when rule_check() finds, or may find, the key that was number `which` to be live. */
bool rule_may_be_live(const struct rule *rule, const struct session_lookup *lookup, size_t which);

/* True when the key that was number `which` is that of a session, be it live or ended: the daemon has issued it. */
bool rule_is_known(const struct session_lookup *lookup, size_t which);

/* True when it is that of a session that has ended, or ends now. */
bool rule_has_ended(const struct rule *rule, const struct session_lookup *lookup, size_t which);

/*
 * True when the key that was number `which` ended by a sign-out, or by a login or change of password in the same
 * browser, and is the same account's as the one that may be live, number `live`: whoever has both has lost nothing.
 */
bool rule_was_left_for(const struct session_lookup *lookup, size_t which, size_t live);

/* True when rule_check() will neither read nor write, and so not wait for the account's lock. */
bool rule_is_final(const struct rule *rule, const struct session_lookup *lookup, size_t which);

/*
 * The hook's second half: is the key that was number `which`, from 0 on, the one live session of its account (one of
 * `limit`)? Nothing is read or written unless rule_is_final() is false. DB_OK with *verdict filled in,
 * DB_UNAVAILABLE or DB_ERROR.
 */
enum db_status rule_check(const struct rule *rule, TALLOC_CTX *ctx, const struct session_lookup *lookup, size_t which,
                          const struct client *client, struct rule_verdict *verdict);

/*
 * Store that the sessions were seen, 1 to RULE_KEYS_MAX of them, in the background (see db_start()). What fails is of
 * no consequence.
 */
void rule_start_touch(const struct rule *rule, const struct session_key keys[], size_t count);

/* What lets somebody in who has no password: it is used up in the login's transaction. */
struct login_proof {
	struct ones_db *db;   /* of the request */
	module_sql_body *use; /* refuses the login by returning another result than ONES_RESULT_OK */
	void *context;
};

/* Whoever is to get the new session's key. */
struct login_peer {
	bool (*has_hung_up)(const void *connection);
	const void *connection;
};

/* A login: its account and its keys. The strings and keys are the caller's. */
struct login_request {
	const struct user *user;         /* as it was read; its password is verified already, or there is a proof */
	const struct login_proof *proof; /* in place of the password: no limit or cooldown stands in its way; or
	                                    NULL */
	const struct session_key *key;   /* of the new session */
	bool is_key_given; /* another program has made it: one that was seen before is RULE_LOGIN_KEY_SEEN */
	const struct session_key *presented; /* that the browser holds now, NULL: none. Its session ends */
	const struct session_key *device;    /* of the device cookie that it gets; NULL: it keeps the one it has */
	const struct session_key *presented_device; /* of the one that it holds now, or NULL */
	const struct session_key
		*form; /* of the sign-in form that it has sent, or NULL; see SQL_OF_FORM() in live_sql.h */
	const struct session_key *ticket; /* to be used up (see tickets.h), or NULL */
	const struct login_peer *peer;    /* of a login that is nothing without an answer, or NULL */
	bool take_over;                   /* session.on_limit = ask has been answered */
	bool is_trusted;                  /* a program of the site's has signed the person in: no password was seen */
	bool is_stale;                    /* the person has not proved who they are just now */
	const char *new_password_hash;    /* a change of password, with a proof also a login; NULL: a login only */
};

struct rule_login {
	struct ones_session session;      /* the new one; strings on the ctx given */
	struct session_key former_device; /* of the device cookie of the session that it replaces */
	bool has_former_device;
	int64_t delete_at; /* when the account is deleted for good, us since 1970; 0: it stays */
	struct session_info_list displaced;
	struct session_info_list conflicting; /* of a login that the policy refuses */
	int64_t wait_s;                       /* with RULE_LOGIN_COOLDOWN */
	struct ones_refusal refusal;          /* with RULE_LOGIN_REFUSED; strings on the ctx given */
	enum ones_result unproven;            /* with RULE_LOGIN_UNPROVEN: what proof->use has returned */
};

enum rule_login_result {
	RULE_LOGIN_OK,
	RULE_LOGIN_STALE,       /* the account was disabled or got another password since it was read */
	RULE_LOGIN_ENDED,       /* a change of password: the presented session is not live any more */
	RULE_LOGIN_KEY_SEEN,    /* the given key is one of a session, live or ended */
	RULE_LOGIN_TICKET_GONE, /* it has been used by another request */
	RULE_LOGIN_CANCELLED,   /* whoever was to get the key has hung up */
	RULE_LOGIN_UNPROVEN,    /* the proof is none */
	RULE_LOGIN_LIMIT,    /* the account is live elsewhere, and session.on_limit does not let this one displace it */
	RULE_LOGIN_COOLDOWN, /* likewise, for it has been taken over too often (sharing.action) */
	RULE_LOGIN_REFUSED,  /* a receiver in the transaction has refused it */
	RULE_LOGIN_FAILED,   /* a receiver in the transaction failed */
	RULE_LOGIN_UNAVAILABLE, /* the database is away, or the outcome could not be learnt in time */
};

/* A transaction of what a person or a program has asked for, and so a receiver may refuse. */
struct account_tx rule_begin_asked(const struct rule *rule, TALLOC_CTX *ctx, const struct client *client);

/*
 * What has become of a login whose transaction `tx` ended as `status`. `refusal` is why a step has given it up,
 * RULE_LOGIN_OK: none has.
 */
enum rule_login_result rule_login_outcome(enum db_status status, enum rule_login_result refusal,
                                          const struct account_tx *tx, struct rule_login *login);

/*
 * Make `request->key` the account's newest session, in one transaction. The presented session ends: that is a rotation
 * and no displacement when it is a live one of the same account, and then it meets no limit. The same goes for a live
 * one that the browser has lost the key of, as the device cookie given with it shows, or the form that made it. A
 * change of password is a rotation of the presented session too, or comes with a proof, and ends every other session
 * of the account as password_changed. On anything but RULE_LOGIN_OK nothing has changed.
 */
enum rule_login_result rule_login(const struct rule *rule, TALLOC_CTX *ctx, const struct login_request *request,
                                  const struct client *client, struct rule_login *login);

/* Emit the signal of a failed login. `user` is NULL when no account has the name. */
enum db_status rule_login_failed(const struct rule *rule, TALLOC_CTX *ctx, struct user *user,
                                 const struct client *client);

/*
 * End the presented session, and the stored key only where it is this one. A session that is not there is no error.
 * With DB_REFUSED the reason is in *refusal, with strings on `ctx`.
 */
enum db_status rule_logout(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key *key,
                           const struct client *client, struct ones_refusal *refusal);

/*
 * For the holder of the presented session: end the session of the same account whose public id (a UUID) is `id`.
 * *ended is whether there was one; there is none when the presented session is not live any more itself. DB_REFUSED
 * likewise.
 */
enum db_status rule_end_session(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key *presented,
                                const char *id, const struct client *client, bool *ended, struct ones_refusal *refusal);

#endif
