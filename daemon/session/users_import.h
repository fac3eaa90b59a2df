/* Accounts that come from elsewhere with their hashes, many at a time. */
#ifndef SESSION_USERS_IMPORT_H
#define SESSION_USERS_IMPORT_H

#include "session/users.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct users_import {
	const char *username;   /* without a users_name_problem() */
	const char *password;   /* the hash, in ASCII, or USERS_NO_PASSWORD */
	const char *email;      /* as email_parse() gives it; NULL: none */
	bool is_email_verified; /* of an account that is new: it is known that the address is the person's */
	bool is_active;
	bool is_admin;
	/* plan, groups, session_limit, valid_until, external_id, with which account_terms_problem() has no problem, and
	   of plans that there are; NULL: none of them */
	const json_t *terms;
	const char *key;            /* set by users_import_keys(): the same for names that differ in case only */
	bool is_new;                /* set: false when the name was taken */
	const char *existing_as;    /* set when the name was taken: how the account spells it; NULL when not known */
	bool has_email;             /* set: the account was given the address */
	const char *external_id_of; /* set when another account has the external_id, by the name of that: it was not
	                               added then; else NULL */
	const char *email_of; /* set when it was not, for it is another account's, by the name of that; else NULL */
};

/* Set the key of each, on `ctx`. */
enum db_status users_import_keys(struct db *db, TALLOC_CTX *ctx, struct users_import accounts[], size_t count);

/*
 * Within a transaction of the caller's: add those whose names are not taken, be it by an earlier one of them, each with
 * an event user_added of that detail, and set what is to be set in each, on `ctx`. An account that has no address gets
 * the one given, also when the account was there before, spelt the same: then unverified.
 */
enum db_status users_import(struct db *db, TALLOC_CTX *ctx, struct users_import accounts[], size_t count,
                            const char *detail);

/* A row of Django's auth_user (django.contrib.auth). */
struct django_user {
	int64_t id;
	const char *username;
	const char *password;
	const char *email; /* "": none */
	bool is_active;
	bool is_superuser;
};

/* The next `limit` rows after that id, by id, of a database of Django's; on `ctx`. */
enum db_status users_read_django(struct db *db, TALLOC_CTX *ctx, int64_t after_id, size_t limit,
                                 struct django_user **users, size_t *count);

#endif
