/* Accounts, as login and onesessionctl need them. */
#ifndef SESSION_USERS_H
#define SESSION_USERS_H

#include "session/db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USERNAME_MAX 150 /* characters, as in Django's auth_user */

struct user {
	int64_t id;
	const char *username;
	const char *password; /* the hash */
	bool is_active;
	bool is_admin;
	int64_t session_limit; /* -1: session.max_sessions; 0: exempt */
	int64_t created_at;    /* us since 1970 */
	int64_t last_login_at; /* us since 1970, 0: never. Only from users_list(), as the next */
	int64_t live_sessions;
};

/*
 * The name that is meant: what was typed or pasted without space and invisible characters before and after it, on
 * `ctx`; NULL when out of memory. Every name from outside goes through it before it is looked for or stored.
 */
const char *users_plain_name(TALLOC_CTX *ctx, const char *typed);

/* Why `username` cannot be an account's name ("is empty", "is longer than 150 characters"...), or NULL when it can. */
const char *users_name_problem(const char *username);

/* DB_OK with *user on `ctx`, or with *user NULL when no account has that name, whatever the case. */
enum db_status users_find(struct db *db, TALLOC_CTX *ctx, const char *username, struct user **user);

/*
 * For operators: likewise, by the name as it was typed, and when no account has that one by its plain form. An account
 * may have a name that no new account can be given.
 */
enum db_status users_find_typed(struct db *db, TALLOC_CTX *ctx, const char *typed, struct user **user);

/*
 * Accounts that cannot sign in: their names, which another program or an earlier version has stored, are not
 * plain ones, or have control characters.
 */
#define UNUSABLE_NAMES_MAX 10

struct unusable_names {
	const char *first[UNUSABLE_NAMES_MAX];
	size_t count;
	int64_t all; /* how many there are, also past these */
};

/* Strings on `ctx`. All names are looked at: not for every request. */
enum db_status users_unusable_names(struct db *db, TALLOC_CTX *ctx, struct unusable_names *unusable);

/* What they are, as a shell's $'...' where that is needed, and the cure, in a sentence on `ctx`. */
const char *users_unusable_problem(TALLOC_CTX *ctx, const struct unusable_names *unusable);

/* The same by another statement, whose rows have sql_find_user's columns. */
enum db_status users_find_by(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement,
                             const struct db_value values[], size_t count, struct user **user);

struct user_filter {
	int64_t id;         /* 0: of all */
	const char *prefix; /* what the names begin with, whatever the case; NULL: anything */
	int64_t max;        /* -1: all */
};

/* Accounts by name, on `ctx`. */
enum db_status users_list(struct db *db, TALLOC_CTX *ctx, const struct user_filter *filter, int64_t idle_timeout_ms,
                          struct user **users, size_t *count);

/* The account's takeovers and failed logins of late. Times are us since 1970, 0: never, not now. */
struct user_watch {
	int64_t takeovers; /* in the running window */
	int64_t last_takeover_at;
	int64_t shared_at;
	int64_t cooldown_until;
	int64_t failures; /* of logins, in the running window */
	int64_t failures_until;
};

enum db_status users_watch(struct db *db, int64_t id, int64_t sharing_window_ms, int64_t attempts_window_ms,
                           struct user_watch *watch);

/* *id is 0 when the name is taken. session_limit as in struct user. */
enum db_status users_add(struct db *db, const char *username, const char *password_hash, bool is_admin,
                         int64_t session_limit, int64_t *id);

/* Within a transaction of the caller's; the sessions are ended by revoke_all_of_account(). */
enum db_status users_set_password(struct db *db, int64_t id, const char *password_hash);
enum db_status users_set_active(struct db *db, int64_t id, bool is_active);

/* DB_DUPLICATE when another account has that name; DB_CONFLICT when the account has gone, as the next two. */
enum db_status users_rename(struct db *db, int64_t id, const char *username);

/* *before is what it was. */
enum db_status users_set_admin(struct db *db, int64_t id, bool is_admin, bool *before);

/* session_limit and *before, what it was, are as in struct user. */
enum db_status users_set_limit(struct db *db, int64_t id, int64_t session_limit, int64_t *before);

/* Replace the hash by another one of the same password. *replaced is false when it was no longer `former`. */
enum db_status users_upgrade_password(struct db *db, TALLOC_CTX *ctx, int64_t id, const char *former,
                                      const char *password_hash, bool *replaced);

/*
 * Take the name, the addresses and the browsers of the account out of its events. The account is held for that until
 * the transaction ends: no event of it comes after.
 */
enum db_status users_erase_events(struct db *db, int64_t id);

/* The account, and its rows in other tables but for its events. */
enum db_status users_delete(struct db *db, int64_t id);

#endif
