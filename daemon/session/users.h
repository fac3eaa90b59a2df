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
	int64_t session_limit;     /* -1: session.max_sessions; 0: exempt */
	int64_t created_at;        /* us since 1970, as all times */
	const char *email;         /* as email_parse() gives it; NULL: none */
	int64_t email_verified_at; /* 0: it is not verified, and neither signs in nor gets mail */
	int64_t delete_at;         /* when the account is deleted for good; 0: it stays */
	const char *plan;          /* NULL: none */
	const char *groups;        /* separated by commas; "": none */
	int64_t valid_until;       /* when the plan ends; 0: not until it is taken away */
	const char *external_id;   /* NULL: none */
	int64_t last_login_at;     /* us since 1970, 0: never. Only from users_list(), as the next */
	int64_t live_sessions;
	int64_t plan_limit;  /* of its plan, as session_limit */
	bool has_plan_ended; /* valid_until is past, by the clock of the database */
};

/*
 * The name that is meant: what was typed or pasted without space and invisible characters before and after it, on
 * `ctx`; NULL when out of memory. Every name from outside goes through it before it is looked for or stored.
 */
const char *users_plain_name(TALLOC_CTX *ctx, const char *typed);

/* Why `username` cannot be an account's name ("is empty", "is longer than 150 characters"...), or NULL when it can. */
const char *users_name_problem(const char *username);

/* The same of one that is imported: it has no characters that are not seen, so that it is shown as it is. */
const char *users_foreign_name_problem(const char *username);

/*
 * The same of an account that is made or renamed now: nor has it an @, so that no name can be somebody's address, nor
 * letters of several scripts that look alike.
 */
const char *users_new_name_problem(const char *username);

/* Has it an @ as it is compared with other names and addresses? A fullwidth one is one, too. True when out of memory.
 */
bool users_has_at(const char *username);

/* DB_OK with *user on `ctx`, or with *user NULL when no account has that name, whatever the case. */
enum db_status users_find(struct db *db, TALLOC_CTX *ctx, const char *username, struct user **user);

/* Likewise, the account with that id. */
enum db_status users_find_by_id(struct db *db, TALLOC_CTX *ctx, int64_t id, struct user **user);

/*
 * Whom a person means who types that to sign in, as users_plain_name() gives it: the account of that name, else the one
 * whose verified address it is. One statement.
 */
enum db_status users_find_login(struct db *db, TALLOC_CTX *ctx, const char *plain, struct user **user);

/* What attempts at such a login are counted under: an address in its one form, so that all its spellings are one; else
 * `plain` itself. On `ctx`; NULL when out of memory. */
const char *users_login_subject(TALLOC_CTX *ctx, const char *plain);

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

/* Some names, of those that are told to operators. */
struct unusable_names {
	const char *first[UNUSABLE_NAMES_MAX];
	size_t count;
	int64_t all; /* how many there are, also past these */
};

/* Strings on `ctx`. All names are looked at: not for every request. */
enum db_status users_unusable_names(struct db *db, TALLOC_CTX *ctx, struct unusable_names *unusable);

/* Names that have an @: their accounts have them from elsewhere, and somebody else may have one as an address. */
enum db_status users_names_like_emails(struct db *db, TALLOC_CTX *ctx, struct unusable_names *names);
const char *users_names_like_emails_notice(TALLOC_CTX *ctx, const struct unusable_names *names);

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

/* A hash that no password is right for: the account waits for a password. */
#define USERS_NO_PASSWORD "!"

struct new_user {
	const char *username;
	const char *password_hash; /* or USERS_NO_PASSWORD */
	const char *email;         /* as email_parse() gives it; NULL: none */
	bool is_verified;          /* the address */
};

/* *id is 0 when the name or the address is taken, the latter also as a name; *is_email_taken is whether it is that. */
enum db_status users_add(struct db *db, const struct new_user *user, int64_t *id, bool *is_email_taken);

/*
 * Give the account an address, or NULL for none. DB_CONFLICT when the account has gone; *is_taken: it is another's,
 * or another's name, and nothing is changed.
 */
enum db_status users_set_email(struct db *db, int64_t id, const char *email, bool is_verified, bool *is_taken);

/* Which addresses that are not verified: those of one account, of a domain (as email_parse() gives it), or all. */
struct unverified {
	int64_t user_id;    /* 0: of all */
	const char *domain; /* NULL: of any */
};

/* *count is how many there are; *first, on `ctx`, one of them, or NULL. */
enum db_status users_count_unverified(struct db *db, TALLOC_CTX *ctx, const struct unverified *which, int64_t *count,
                                      const char **first);

/* Take them as verified, each with an event of that detail: many at a time, each time in a transaction of its own. */
enum db_status users_verify(struct db *db, const struct unverified *which, const char *detail, int64_t *count);

/*
 * The account is to be deleted for good in so many milliseconds, or when it was to be already, if that is earlier; -1:
 * it stays. *delete_at is when, 0: never.
 * DB_CONFLICT when it has gone.
 */
enum db_status users_set_deletion(struct db *db, int64_t id, int64_t pause_ms, int64_t *delete_at);

/*
 * Delete the account if its delete_at has come, with all that is kept about its person. *was_due is whether it had. For
 * erasure_run(), which ends its sessions before.
 */
enum db_status users_erase(struct db *db, int64_t id, bool *was_due);

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

/* The account, and its rows in other tables but for its events. */
enum db_status users_delete(struct db *db, int64_t id);

#endif
