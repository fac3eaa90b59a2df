/* What several of the daemon's own modules share; like them, by the public header alone. */
#ifndef HANDLERS_SHARED_H
#define HANDLERS_SHARED_H

#include "onesession.h"

/* What the mail of a forgotten password is called, and what its link and code are for. */
#define RESET "reset"

/* What links and codes of mails are for that several modules know: see signup.h and notices.h. */
#define PURPOSE_EMAIL "email"
#define UNDO          "undo"

/* The signal of the daemon's own: an account's address is about to become another one, in the same transaction. */
#define SIGNAL_EMAIL_CHANGED "session.email_changed"

/* Apache's ErrorDocument makes every request a GET, and keeps the method that was in this parameter. */
#define METHOD_BEFORE_APACHE "REDIRECT_REQUEST_METHOD"

/* Do people sign in with the daemon's own pages (login.enabled)? Else there are no passwords here. */
bool has_login(const struct ones_app *app);

/* For people a redirect to the sign-in page, where there is one, which says why; else, and for programs, 401. */
void reply_not_signed_in(struct ones_request *req);

/* Where people go who have just signed out: to the daemon's own `page`, if they sign in there. */
const char *after_sign_out(struct ones_request *req, const char *page);

/*
 * Where the sign-in page leads back to after a refused request: the request target, as the client wrote it, or, as a
 * GET does not repeat what a form has sent, the page that the form was on; NULL when that is not known.
 */
const char *return_address(const struct ones_request *req);

/*
 * Is that address the one that the web server has refused, so that redirects to it would never end? So it is where
 * access.login_url or access.upgrade_url is a place that itself needs what people are to get there.
 */
bool leads_back(const struct ones_request *req, const char *way);

/* True when the refused request was to do something, which is not done now. */
bool is_lost(const struct ones_request *req);

/* For pages, new references, NULL when out of memory: how a session ended (NULL also when none has ended), */
json_t *ending_for_page(const struct ones_ending *ending);

/* and where an account is live. */
json_t *places_for_page(const struct ones_places *places);

/*
 * The values of a page with those of `more`, which replace the ones of the same name. Takes over both references; NULL
 * when either is, as when memory has run out.
 */
json_t *with_more(json_t *values, json_t *more);

/* What programs get of a login: a new reference, NULL when out of memory. */
json_t *login_json(const struct ones_login *login);

/* The same of a session that goes on. */
json_t *session_answer_json(const struct ones_session *session);

/* And of one that goes on with a new key, as after a change of password. */
json_t *new_key_json(const struct ones_login *login);

/*
 * In a transaction that holds the account's row of users: ONES_RESULT_ENDED when the session, which was live when the
 * request began, has ended meanwhile; else it cannot end before the transaction does.
 */
enum ones_result recheck_session(struct ones_db *db, const struct ones_session *session);

/* A field of the body that is not empty, as those of a form are that nobody has filled in; NULL: it is. */
const char *filled_field(const struct ones_request *req, const char *name);

/* What a request has of a mail, by the fields "token", or "login" and "code". */
struct ones_mail_key mail_key_of(const struct ones_request *req);

/* Whether that is enough to look for. */
bool is_mail_key(const struct ones_mail_key *key);

/* The form of a page that a mail leads to came as it was found, without the tick that only a person sets. */
bool lacks_tick(const struct ones_request *req);

/* ---- Answers of routes that mails lead to --------------------------------------------------------------------- */

/*
 * A page whose address may have a token in it; after a form, it is the page at `path` of the module. Takes over the
 * reference.
 */
void reply_page_of_link(struct ones_request *req, int status, const char *page, const char *path, json_t *values);

/* 401 for programs: what was brought of a mail stands for nothing. */
void reply_invalid_code(struct ones_request *req);

/* 429: there were too many of these requests. */
void reply_throttled(struct ones_request *req, int64_t wait_s);

/* ---- Signing in ----------------------------------------------------------------------------------------------- */

/* "?next=..." of a page that leads on to that place; NULL: nowhere in particular. */
const char *next_query(struct ones_request *req, const char *next);

/*
 * Where to go after signing in: to `next`, as ones_next() has it; but first, where the account is to be deleted
 * (`delete_at` is not 0), to the page that asks whether to keep it.
 */
const char *after_sign_in(struct ones_request *req, ones_time delete_at, const char *next);

/*
 * The sign-in page, with the name that was typed; it leads to `next` (NULL: nowhere in particular). `more` adds what
 * has just happened; takes over the reference.
 */
void sign_in_page(struct ones_request *req, int status, const char *username, const char *next, json_t *more);

/*
 * The same for a browser that is to sign in: it says why the session has ended. `lost`: it says, too, that what was
 * sent is not there.
 */
void sign_in_page_anew(struct ones_request *req, int status, const char *next, bool lost);

/* ---- What a place requires, as ONESESSION_REQUIRE says it ------------------------------------------------------ */

/* The longest text that is understood, in bytes. */
#define REQUIREMENT_MAX 1024

enum requirement_result {
	REQUIREMENT_HOLDS = 0,
	REQUIREMENT_NOT_UNDERSTOOD, /* nobody is let in, whoever it is */
	REQUIREMENT_NO_SESSION,     /* ones_ending() says why */
	REQUIREMENT_PLAN,           /* the account has none of these plans */
	REQUIREMENT_ENDED,          /* it has one of them, which has ended */
	REQUIREMENT_GROUP,          /* it is in none of these groups */
	REQUIREMENT_UNVERIFIED,     /* it has no verified address */
	REQUIREMENT_STALE,          /* its person has not proved lately enough who they are */
};

struct requirement {
	enum requirement_result result;
	bool is_optional;   /* it holds, also for nobody */
	const char *needed; /* what the term that fails asks for, `length` bytes of the text: "gold|platinum", "10m" */
	size_t length;
};

/*
 * Judge `session` (NULL: nobody is signed in) at the moment `now` by the text: terms, separated by spaces, which all
 * have to hold; the first that does not is the result. Without a term it is "live". `now` is ones_found_at() of the
 * request that has found the session. Nothing is allocated.
 *
 *	live			somebody is signed in, as every other term but the last requires
 *	plan=gold|platinum	the account has one of these plans, and it has not ended
 *	group=staff|editors	it is in one of these groups
 *	verified		it has a verified address
 *	fresh=10m		its person has proved within that time who they are: from 1s to 365d
 *	optional		alone: whoever it is
 *
 * A text that is not of this form, or too long, is not understood, whatever else stands in it.
 */
struct requirement requirement_judge(const char *text, const struct ones_session *session, ones_time now);

/* The code that programs get: "plan_required"; "" for the first three results. A constant string. */
const char *requirement_code(enum requirement_result result);

/* The same as a sentence, for programs and for people: see ones_sentence(). */
const char *requirement_sentence(enum requirement_result result);

/* The status of the answer: 401 or 403. */
int requirement_status(enum requirement_result result);

/*
 * What would be needed: {"plan": ["gold", "platinum"]}, {"group": [...]}, {"verified": true} or {"fresh": "10m"}. A new
 * reference, NULL when out of memory.
 */
json_t *requirement_needed_json(const struct requirement *requirement);

/*
 * Judge the request's session by the web server's parameter ONESESSION_REQUIRE. One that is there twice, that is not
 * understood, or that is not there, or empty, although access.require_parameter is on, is logged, and
 * REQUIREMENT_NOT_UNDERSTOOD. At /refused it is that of the request which was refused.
 */
struct requirement requirement_at_guard(struct ones_request *req);
struct requirement requirement_of_refused(struct ones_request *req);

/* 503 to everybody: what a place needs is not understood. */
void reply_not_understood(struct ones_request *req);

#endif
