/* The module "signup": accounts that people make themselves or are invited to, and the addresses that they prove. */
#ifndef HANDLERS_SIGNUP_H
#define HANDLERS_SIGNUP_H

#include "../shared/shared.h"

/*
 * What links and codes are for. Those of an address for an account that is there have a purpose of their own: a new
 * password makes them void.
 */
#define PURPOSE_SIGNUP "signup"
#define PURPOSE_INVITE "invite"

void signup_setup(struct ones_app *app);
void invite_setup(struct ones_app *app);
void email_setup(struct ones_app *app);
void verify_setup(struct ones_app *app);

/*
 * For somebody who is signed in: the page that says that an address has to be proved, and has the form for it. It leads
 * to `next` in the end.
 */
void show_email_needed(struct ones_request *req, const char *next);

/* Its address: "/session/verify?next=%2Fpage". */
const char *verify_url(struct ones_request *req, const char *next);

/* ---- Sign-ups that wait for their proof: the table signups ----------------------------------------------------- */

/* Lasts as long as the request. */
struct signup {
	int64_t id;
	const char *username;
	const char *email;
	const char *password_hash;
	const char *ip;      /* "" when it is not known */
	int64_t lifetime_ms; /* of its link and code; to be added only */
	ones_time created_at;
};

/* In a transaction: keep it for as long as its mail can be used, *id is set. */
enum ones_result signup_add(struct ones_db *db, const struct signup *signup, int64_t *id);

/* *found is false when it was withdrawn, or has run out. */
enum ones_result signup_find(struct ones_db *db, int64_t id, struct signup *signup, bool *found);

/* In a transaction: the mails of the sign-up are deleted with the account that has come of it. */
enum ones_result signup_claim_mails(struct ones_db *db, const struct signup *signup, int64_t user_id);

/* In a transaction: it is over; ONES_RESULT_INVALID when it is not there. */
enum ones_result signup_remove(struct ones_db *db, int64_t id);

/*
 * To whoever has asked for a mail to that address, as it was made plain: the page where its code goes, or 202 for
 * programs. `is_signup`: of /signup, else of /email.
 */
void reply_mail_sent(struct ones_request *req, const char *email, bool is_signup);

#endif
