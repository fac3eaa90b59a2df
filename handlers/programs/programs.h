/* The module "programs": what the site's own programs call, below /api. */
#ifndef HANDLERS_PROGRAMS_H
#define HANDLERS_PROGRAMS_H

#include "../shared/shared.h"

void api_users_setup(struct ones_app *app);
void api_user_changes_setup(struct ones_app *app);
void api_sessions_setup(struct ones_app *app);
void api_sign_in_setup(struct ones_app *app);
void api_check_setup(struct ones_app *app);
void api_events_setup(struct ones_app *app);
void api_openapi_setup(struct ones_app *app);

/* How many of a list are given at once, and how many where nothing is said. */
#define LIST_MAX     1000
#define LIST_DEFAULT 100

/* ---- Answers ---------------------------------------------------------------------------------------------------- */

void reply_bad_request(struct ones_request *req, const char *detail);

/* 404, with what there is not. */
void reply_not_there(struct ones_request *req, const char *detail);

/* ---- What was sent ---------------------------------------------------------------------------------------------- */

/* The body's object; NULL: there is none, which has been answered. */
const json_t *body_of(struct ones_request *req);

/*
 * The field of the query string as a number; `fallback` where it is not there. False when it is another text than a
 * number from `min` to `max`: that has been answered.
 */
bool read_number(struct ones_request *req, const char *name, int64_t fallback, int64_t min, int64_t max,
                 int64_t *number);

/*
 * Why sessions are ended, as the query says: ONES_REASON_REVOKED where it says nothing. False when it is none of what
 * programs may say: that has been answered.
 */
bool read_reason(struct ones_request *req, enum ones_reason *reason);

/* ---- Accounts --------------------------------------------------------------------------------------------------- */

/* The columns of an account as programs get it, of a row of users. */
#define ACCOUNT_COLUMNS                                                                                                \
	"id, username, email, email_verified_at IS NOT NULL AS email_verified, plan, to_jsonb(groups) AS groups,"      \
	" session_limit, valid_until, is_active, is_admin, external_id, created_at"

/* The condition that a row of users is that of a name, $1, whatever the case. */
#define IS_NAMED "username_key = lower(normalize($1, NFKC) COLLATE \"und-x-icu\") COLLATE \"C\""

struct found_account {
	int64_t id; /* 0: there is none */
	bool is_admin;
	bool is_written_so;   /* the name is the plain one that was asked for, byte for byte */
	bool has_external_id; /* a program calls it something already */
};

/* The name that the path means, as ones_plain_name() gives it; NULL: out of memory. */
const char *name_in_path(struct ones_request *req);

/*
 * The account that is meant by what was sent; hold_account(), in a transaction, locks the one of that plain name (NULL:
 * ONES_RESULT_FAILED) until that ends.
 */
enum ones_result find_account(struct ones_request *req, const char *typed, struct found_account *account);
enum ones_result hold_account(struct ones_db *db, const char *username, struct found_account *account);

/* Answer with the account of that id, as JSON. */
void reply_account(struct ones_request *req, int status, int64_t user_id);

/* ---- Idempotency-Key -------------------------------------------------------------------------------------------- */

/* A request that is done once, however often it is sent with the same key. */
struct once {
	const char *key;   /* NULL: the request has none */
	const char *claim; /* on the request */
};

/*
 * Claim the key of the request. False: it has been answered, with what the first one was answered, or because that is
 * still under way (409), or because it was another one (422).
 */
bool once_begin(struct ones_request *req, struct once *once);

/* It has been done: keep the answer, and give it. Takes over the reference, also of NULL. */
void once_reply(struct ones_request *req, const struct once *once, int status, json_t *answer);

/* Nothing was done: it may be tried again with the same key. */
void once_give_up(struct ones_request *req, const struct once *once);

#endif
