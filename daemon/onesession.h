/*
 * onesession.h: what an application's C programmer uses to add routes and to connect to signals.
 *
 * A handler is a function that gets a request and gives exactly one answer:
 *
 *	static void hello(struct ones_request *req)
 *	{
 *		const struct ones_session *session = ones_session(req);
 *
 *		if (session == NULL) {
 *			ones_reply_unauthenticated(req);
 *			return;
 *		}
 *		ones_reply_json(req, 200, json_pack("{s:s}", "hello", session->user.username));
 *	}
 *
 * It is added, with everything else of the application, by a module's setup function:
 *
 *	static bool setup(struct ones_app *app)
 *	{
 *		ones_route(app, &(struct ones_route){.path = "/hello", .get = hello});
 *		ones_connect(app, ONES_SIGNAL_LOGGED_IN,
 *		             &(struct ones_receiver){.name = "greet", .phase = ONES_AFTER_COMMIT, .call = greet});
 *		return true;
 *	}
 *
 *	ONES_MODULE(.name = "greetings", .version = "1.0", .setup = setup);
 *
 * The module is a shared object (cc -shared -fPIC) that server.modules names. Workers load it, each for itself;
 * handlers and receivers run there, one request at a time, so they need no locks.
 *
 * Memory: every pointer that a function here returns belongs to the request and is gone when its handler has
 * returned, unless the function says otherwise. Strings are UTF-8 and end with a NUL.
 *
 * Mistakes: what a handler does wrong (no answer, two answers, a page that there is not, a header field that would
 * break out of its line...) is a line `handler_fault` in the log, with the request's id, module, route and what was
 * wrong. The answer is then a 500 without a body, unless the function says otherwise.
 *
 * NULL: what ones_query(), ones_field() and others give for what is not there may be given on. A name to look something
 * up by, a path, an id or a text that is NULL is nothing that there is, or that can be used; where one is needed (a
 * password to be checked, a page, the value of a header field, a sentence) it is a mistake. It is never a crash.
 */
#ifndef ONESESSION_H
#define ONESESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#ifdef __cplusplus
#include <initializer_list>
#endif

#if defined(__GNUC__)
#define ONES_PRINTF(at, first) __attribute__((__format__(__printf__, at, first)))
#else
#define ONES_PRINTF(at, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- A module: ones_module(3) ----------------------------------------------------------------------------------- */

/* What this header promises to those that were compiled with it. A daemon takes no module that was built for another.
 */
#define ONES_ABI 1

/* What a module's setup declares things with; the module keeps it, for ones_setting(). It lasts as long as the process.
 */
struct ones_app;

/* A request, for as long as its handler runs. */
struct ones_request;

/*
 * A module: one exported object, in a shared object of its own. The daemon reads it and keeps pointers into it; nothing
 * of it may change.
 */
struct ones_module {
	uint32_t abi, size;     /* filled in by ONES_MODULE() */
	const char *name;       /* [a-z][a-z0-9_]{0,30}: also of its section of the configuration, and of its path */
	const char *version;    /* for people, up to 31 bytes; NULL: none */
	const char *pages;      /* a folder beside the shared object, with pages and files; NULL: none */
	const char *migrations; /* likewise, with the SQL of its tables, see "migrate" in onesessionctl(8); NULL:
	                           NAME/migrations, if there is such a folder. The daemon starts with those only that
	                           are all applied */
	/*
	 * Declare everything: routes, receivers, signals, jobs, services. It runs in each worker, in the process that
	 * runs jobs, and in one that only checks the module, so it has no other effect. Returning false refuses the
	 * module; ones_log() says why. NULL: there is nothing.
	 */
	bool (*setup)(struct ones_app *app);
	/*
	 * Runs in each worker, and of a module with jobs in the process that runs these, after setup, before system
	 * calls are restricted: the place to open what handlers use. Returning false ends the process, which is
	 * replaced later and later. NULL: there is nothing.
	 */
	bool (*start)(struct ones_app *app);
	/* Runs when such a process ends as it should, and not when it is killed or crashes. NULL: there is nothing. */
	void (*stop)(struct ones_app *app);
};

/* The object that the daemon looks for; ONES_MODULE() defines it. */
extern const struct ones_module ones_module __attribute__((visibility("default")));

/* Once in a module, outside of functions: ONES_MODULE(.name = "cinema", .version = "1.2", .setup = setup); */
#ifdef __cplusplus
/* C++ compilers warn of members that are left out; behind the object nothing can be taken back before its semicolon. */
#define ONES_MODULE(...)                                                                                               \
	_Pragma("GCC diagnostic ignored \"-Wmissing-field-initializers\"") const struct ones_module ones_module = {    \
		.abi = ONES_ABI, .size = sizeof(struct ones_module), __VA_ARGS__}
#else
#define ONES_MODULE(...)                                                                                               \
	const struct ones_module ones_module = {.abi = ONES_ABI, .size = sizeof(struct ones_module), __VA_ARGS__}
#endif

/*
 * The value of a key of the module's section in the configuration, [NAME], as text; NULL when it is absent. It stays
 * for as long as the process. For setup, start, stop, and for the module's handlers, receivers and jobs, where `app` is
 * the one that setup was given.
 */
const char *ones_setting(const struct ones_app *app, const char *key);

/* The app of the setup that has added the request's route: for the functions below, and ones_setting(). */
const struct ones_app *ones_app(const struct ones_request *req);

/*
 * One of the daemon's own options as it is in force, by its name in onesession.conf(5): "accounts.reset_lifetime".
 * A duration is in milliseconds, a size in bytes, a switch 0 or 1. The text is that of a choice, or of what is no
 * number; it stays for as long as the process. 0 or "" for a name that is none, one of the other kind, or a secret: a
 * mistake, which is logged as option_fault.
 */
int64_t ones_option_number(const struct ones_app *app, const char *name);
const char *ones_option_text(const struct ones_app *app, const char *name);

/*
 * The milliseconds of a duration as the configuration writes them, such as a setting of the module's own: "30s", "5m",
 * "2h", "14d", "250ms", or 0 alone. False, and *milliseconds is left, for anything else, and for NULL.
 */
bool ones_duration(const char *text, int64_t *milliseconds);

/*
 * A line in the log, of level info: `what` is the event's name, of small letters, digits and underscores
 * ("plan_changed"); the message, as printf(3) makes it, is the field `message`, cut after 1024 bytes. The fields
 * `request_id`, `module` and `job` name the request under way in this process, the module, and the job. Secrets do not
 * belong there.
 */
void ones_log(const char *what, const char *format, ...) ONES_PRINTF(2, 3);

/*
 * The same of level error, for what each request runs into until an operator has mended it: the same message at most
 * once a minute, over all processes of the host.
 */
void ones_log_problem(const struct ones_app *app, const char *what, const char *format, ...) ONES_PRINTF(3, 4);

/* A moment: microseconds since 1970-01-01 00:00 UTC, by the database's clock. 0 means "not known". */
typedef int64_t ones_time;

/* ---- Who is signed in: ones_session(3) -------------------------------------------------------------------------- */

struct ones_user {
	int64_t id;
	const char *username;
	bool is_admin;
};

struct ones_session {
	const char *id; /* public name (a UUID): safe to show and to log, for it is no credential */
	struct ones_user user;
	ones_time created_at;
	ones_time last_seen_at;
	ones_time expires_at;
	ones_time proved_at;   /* when its person has last proved who they are: at the login, or see ones_confirm() */
	const char *email;     /* the account's address, if it is verified; else NULL */
	const char *plan;      /* what the account is subscribed to; NULL: nothing */
	ones_time valid_until; /* when that ends, or has ended; 0: not until it is taken away */
	const char *groups;    /* of the account, separated by commas: "staff,editors"; "": none */
};

/* Why there is no live session. ones_reason_code() gives the code that programs get. */
enum ones_reason {
	ONES_REASON_LIVE = 0,
	ONES_REASON_UNAUTHENTICATED, /* no key, or one that was never issued */
	ONES_REASON_DISPLACED,       /* the account signed in elsewhere */
	ONES_REASON_EXPIRED,         /* past session.lifetime */
	ONES_REASON_IDLE,            /* past session.idle_timeout */
	ONES_REASON_LOGGED_OUT,      /* signed out, or signed in anew in the same browser */
	ONES_REASON_REVOKED,         /* ended by an operator */
	ONES_REASON_PASSWORD_CHANGED,
	ONES_REASON_DISABLED, /* the account was disabled */
};

/* The code in the contract's words: "displaced", "logged_out"...; "" for ONES_REASON_LIVE. A constant string. */
const char *ones_reason_code(enum ones_reason reason);

/* The same as a sentence for the person whose session it was; "" for ONES_REASON_LIVE. A constant string. */
const char *ones_reason_text(enum ones_reason reason);

/* What the hook found before this handler ran: the live session, or NULL when there is none. */
const struct ones_session *ones_session(const struct ones_request *req);

/*
 * True when a key is in Authorization (session.bearer), and is that of a session, live or ended: an application is not
 * to get that field. So it is beside a cookie, which is the request's key then. One that is nobody's is the
 * application's own. With session.key_from = bearer, where it always is: when the request's session has ended.
 */
bool ones_key_is_bearer(const struct ones_request *req);

/*
 * The moment at which it found it, by the database's clock, which is what the times of the session are compared with; 0
 * without a live session.
 */
ones_time ones_found_at(const struct ones_request *req);

/* Why ones_session() is NULL. */
struct ones_ending {
	enum ones_reason reason;
	ones_time ended_at;
	const char *by_browser; /* of the login that took its place: "Firefox"; "" when not known */
	const char *by_os;      /* "Linux"; "" when not known */
	const char *by_ip;      /* "" when not known; to be shown to the account's own person only */
	const char *browser;    /* the same of the session that ended */
	const char *os;
	const char *ip;
};

/* How the presented session ended; .reason is ONES_REASON_LIVE when it has not. Never NULL. */
const struct ones_ending *ones_ending(const struct ones_request *req);

/* ---- Signing in and out: ones_login(3) -------------------------------------------------------------------------- */

enum ones_result {
	ONES_RESULT_OK,
	ONES_RESULT_INVALID,      /* unknown user, or wrong password: the same answer, the same work */
	ONES_RESULT_CLOSED,       /* the right password of an account that is disabled */
	ONES_RESULT_NO_COOKIES,   /* the browser has not kept the cookie that the form came with; no password was
	                             checked */
	ONES_RESULT_THROTTLED,    /* too many failed attempts at this account or from this address */
	ONES_RESULT_LIMIT,        /* the account is live elsewhere, and session.on_limit is ask or refuse */
	ONES_RESULT_COOLDOWN,     /* the account has been taken over too often lately: the session elsewhere stays */
	ONES_RESULT_TICKET_GONE,  /* the ticket was used, has run out, or the password is another one now */
	ONES_RESULT_ENDED,        /* the session that this was to be done for has ended: see ones_ending() */
	ONES_RESULT_UNACCEPTABLE, /* the new password is too short, too long or too easy to guess, see
	                             ones_password_problem(); or no new account can have that name or address */
	ONES_RESULT_BUSY,         /* too many passwords wait for their check; nothing was counted */
	ONES_RESULT_UNAVAILABLE,  /* the database is away, or the outcome could not be learnt in time */
	ONES_RESULT_FAILED,       /* a receiver in the transaction has failed: nothing was changed */
	ONES_RESULT_PENDING,      /* the password is being checked: return, the handler is run again for the result */
	/* Of ones_sql() and ones_transact(): */
	ONES_RESULT_DUPLICATE, /* there is such a row already (a unique constraint, 23505), or such a file */
	ONES_RESULT_VIOLATION, /* another constraint stands against it: CHECK, NOT NULL, a foreign key, an exclusion
	                          (23xxx); or a value does not fit its type (22xxx), such as a number that is too
	                          large, a text that is too long or no UUID */
	ONES_RESULT_CONFLICT, /* another transaction came in the way, five times in ones_transact(): nothing was done */
	/* Of ones_keep_upload() and ones_remove_stored(): */
	ONES_RESULT_UNUSABLE_NAME, /* no file can have that name */
	ONES_RESULT_NO_SPACE,      /* the disk is full */
	/* Of all that have receivers in the transaction: */
	ONES_RESULT_REFUSED, /* one of them has called ones_refuse(), see ones_refusal(): nothing was changed */
};

/* Where an account is live, or was. */
struct ones_place {
	const char *id; /* of the session: its public name */
	ones_time created_at;
	ones_time last_seen_at;
	ones_time expires_at;
	const char *browser; /* "Firefox"; "" when not known */
	const char *os;      /* "Linux"; "" when not known */
	const char *ip;      /* "" when not known */
	bool is_this;        /* this request's own session */
};

struct ones_places {
	size_t count;
	const struct ones_place *all;
};

struct ones_credentials {
	const char *username; /* the name, or the address if it is verified, as it was typed, with `password`; NULL with
	                         a ticket */
	const char *password;
	const char *ticket;  /* of an earlier ones_login() that answered ONES_RESULT_LIMIT; NULL: name and password */
	const char *form;    /* the ones_form_token() that the form was given; NULL: none */
	bool checks_cookies; /* the form came with a cookie: see ones_offer_cookie() */
	bool take_over;      /* the person has agreed to end the sessions elsewhere: for session.on_limit = ask */
	bool wants_token;    /* a program keeps the key by itself: it is to be in login->token, and no cookie is set;
	                        with session.bearer = on only */
};

struct ones_login {
	struct ones_session session;  /* after ONES_RESULT_OK, as the next */
	struct ones_places displaced; /* the sessions that this login ended elsewhere */
	ones_time delete_at; /* the account is deleted for good then, as its person has asked for, who may not think of
	                        it any more: ask whether to keep it, see ones_account_keep(). 0: it stays */
	struct ones_places
		conflicting;   /* after ONES_RESULT_LIMIT and ONES_RESULT_COOLDOWN: those that it would have to end */
	const char *ticket;    /* after ONES_RESULT_LIMIT: lets the same login take over; NULL: it may not */
	int64_t retry_after_s; /* after ONES_RESULT_THROTTLED and ONES_RESULT_COOLDOWN */
	const char *token; /* after ONES_RESULT_OK: the session's new key, for the answer to a program that keeps it by
	                      itself; no cookie has it. NULL: the cookie has it */
};

/*
 * Check the password and, when it is right, make this request's browser the account's newest session: see "The
 * rule" in daemon/session/rule.c. On ONES_RESULT_OK the answer carries the new cookie, *login is filled in, and
 * ones_session() is the new session. On anything else nothing has changed and no cookie is set. A program whose live
 * session's key has come in Authorization has the new one in login->token, here and wherever a session gets one.
 * The route must have .hashes = true: the password is checked by another process while this one serves other requests.
 * The handler is run twice for that: the first time the call returns ONES_RESULT_PENDING, and the answer given then is
 * dropped; the second time, from its beginning, the call returns the result.
 */
enum ones_result ones_login(struct ones_request *req, const struct ones_credentials *credentials,
                            struct ones_login *login);

/* What a receiver has given to ones_refuse(). */
struct ones_refusal {
	const char *code;
	const char *sentence; /* for people; to be escaped, as {{name}} in a page does */
};

/*
 * Why the last ones_login(), ones_sign_in(), ones_logout(), ones_end_session(), ones_change_password(), ones_confirm()
 * or ones_transact() of this request has answered ONES_RESULT_REFUSED; NULL when it has not, or when no receiver has
 * said why. ones_reply_failure() answers with it.
 */
const struct ones_refusal *ones_refusal(const struct ones_request *req);

/*
 * A name as accounts have it: what was typed or pasted without space and invisible characters before and after it.
 * NULL when out of memory, and for NULL.
 */
const char *ones_plain_name(struct ones_request *req, const char *typed);

/*
 * For a hidden field of a sign-in form, another one each time that it is shown. A form that is sent twice, as by a
 * double click, with the right password each time, is one login by it: the second answer is like the first. It is no
 * credential. NULL when out of memory.
 */
const char *ones_form_token(struct ones_request *req);

/*
 * A browser that refuses cookies is not signed in at the next page, which leads back to the form, and each further
 * login would displace the one before. A page with such a form therefore offers a cookie, which holds nothing and lasts
 * until the browser is closed; when the form is sent, with .checks_cookies, and no cookie of the daemon's comes along,
 * the browser keeps none.
 */
void ones_offer_cookie(struct ones_request *req);

/*
 * End the presented session, all of them where there are several, and delete their cookie. Without a live session it
 * succeeds as well. ONES_RESULT_OK, ONES_RESULT_UNAVAILABLE, ONES_RESULT_FAILED or ONES_RESULT_REFUSED. On anything but
 * ONES_RESULT_OK the cookie stays, so that it can be tried again.
 */
enum ones_result ones_logout(struct ones_request *req);

/*
 * Give the account of ones_session() another password, which ones_password_problem() has nothing against. Every other
 * session of it ends; this one gets a new key. *changed is as after a login, with its token, and so is what
 * .hashes = true means.
 */
enum ones_result ones_change_password(struct ones_request *req, const char *current_password, const char *new_password,
                                      struct ones_login *changed);

/* ---- Proving again who one is: ones_confirm(3) ------------------------------------------------------------------- */

/*
 * Who is signed in may be another person than the one who has signed in: at a computer that was left alone, or with a
 *key that was stolen. Before what cannot be undone, and what would give the account away, a site therefore asks for the
 * password again, unless that was proved within login.fresh (OWASP ASVS 5.0, 7.5; others call it sudo mode, or
 *step-up). A route with .fresh = true is open to such sessions only; what others get is ones_reply_stale(). A handler
 *can see to it itself:
 *
 *	static void publish(struct ones_request *req)
 *	{
 *		if (ones_field_is_true(req, "to_everybody") && !ones_is_fresh(req))
 *			ones_reply_stale(req, NULL);
 *		else
 *			ones_reply_empty(req, 204);
 *	}
 */

/* True when there is a live session, and its person has proved who they are within login.fresh. */
bool ones_is_fresh(const struct ones_request *req);

/*
 * The answer to a request whose session is not fresh, when that depends on more than the route. Programs, and scripts
 * of pages (what is no navigation), get 401 `stale`, with the address of ones_confirm_url() as "confirm". People are
 * led to that page, and from there back to `back`; NULL: to this request's own address, or, as that would not repeat
 * what a form has sent, to the page that the form was on; the page says then that it has to be sent again. Where
 * ones_can_confirm() is false, both get 401 `stale`, with the advice to sign in again, which proves it as well.
 */
void ones_reply_stale(struct ones_request *req, const char *back);

/*
 * The page at which people prove again who they are, and which leads to `wanted` afterwards:
 * access.confirm_url, else the route that has ONES_PURPOSE_CONFIRM, with "?next=%2Fpage". `wanted` is as in
 * ones_next(); it is left out when it leads elsewhere, is that page itself, or is too long for a header field. `lost`:
 * what this request was to do has not been done; the page says so. Never NULL: where there is no such page it is the
 * one of ONES_PURPOSE_HOME.
 */
const char *ones_confirm_url(struct ones_request *req, const char *wanted, bool lost);

/* Is there such a page: access.confirm_url, or a route with ONES_PURPOSE_CONFIRM? */
bool ones_can_confirm(const struct ones_app *app);

/*
 * Check the password of the account of ones_session(), and when it is right, make this session fresh. It gets a new
 * key, whose cookie goes out with the answer, so that nobody else who has the former one becomes fresh with it; all
 * else of it stays, and so do the account's other sessions. login->session is filled in, and login->token as after a
 * login. The results are those of
 * ones_change_password(), but for ONES_RESULT_UNACCEPTABLE; and so is what .hashes = true means. A wrong password
 * counts as a failed login.
 */
enum ones_result ones_confirm(struct ones_request *req, const char *password, struct ones_login *login);

/* ---- The account's sessions: ones_sessions(3) ------------------------------------------------------------------- */

/*
 * The live sessions of this request's account, the newest login first. ONES_RESULT_OK, ONES_RESULT_UNAVAILABLE or
 * ONES_RESULT_FAILED.
 */
enum ones_result ones_sessions(struct ones_request *req, struct ones_places *places);

/*
 * End one of these by its id; *found is whether it was one. Ending this request's own is signing out.
 * ONES_RESULT_OK, ONES_RESULT_UNAVAILABLE, ONES_RESULT_FAILED or ONES_RESULT_REFUSED.
 */
enum ones_result ones_end_session(struct ones_request *req, const char *id, bool *found);

/* A session that was, and how it ended. */
struct ones_past {
	struct ones_place place;
	struct ones_ending ending;
};

/* The latest `max` sessions of this request's account that have ended, the last one first. Results as above. */
enum ones_result ones_past_sessions(struct ones_request *req, size_t max, const struct ones_past **past, size_t *count);

/* ---- Data that is kept with a session: ones_data(3) ------------------------------------------------------------- */

/*
 * For routes with .needs = ONES_NEEDS_SESSION_DATA. Each is a JSON value under a name. It was read before the handler;
 * what the handler changes is written once, after it and before the answer: no earlier, and not at all when the answer
 * is a 5xx or the values are equal to those that were read. When that fails the answer becomes a 503 or 500 instead.
 *
 * Name by name, so that requests at the same time do not undo each other; of two that set the same name the later
 * one stays. It never brings a session back that has ended meanwhile: then nothing is kept.
 *
 * A browser that is not signed in has data too, by the same cookie, which then stands for no account; they are kept for
 * session.lifetime. The first value that is set makes the cookie. It is always a new one: when the browser presented
 * the key of a session that has ended, later requests do not learn any more how it ended.
 *
 * Signing in keeps what the same browser has: data without an account, or of the same account. What was kept for
 * another account is gone; so is everything after signing out. In a handler that does so itself, what it changes
 * belongs to the session, or to the browser without one, that the request ends with:
 *	set, then ones_login()	kept with the new session, unless another account was signed in before: then gone
 *	ones_login(), then set	kept with the new session
 *	ones_login() fails	nothing has changed: kept where it would have been without
 *	set, then ones_logout()	gone
 *	ones_logout(), then set	kept without an account, under a new cookie
 * ones_change_password() is like signing in to the same account.
 *
 * A name has 1 to 200 bytes. All names and values together are at most 64 KiB of JSON (requests at the same time can
 * each add so much), with no more than 32 arrays and objects in each other, no text with U+0000, and no real number
 * of 1e17 or more.
 */

/* The value of that name, or NULL when there is none. Borrowed: do not decref. It stays what it is when it is set anew.
 */
const json_t *ones_data_get(struct ones_request *req, const char *name);

/*
 * Keep a copy of the value; takes over the reference, also of NULL (out of memory). Returns false, and has changed
 * nothing, when it is outside the limits above or there is no memory for it.
 */
bool ones_data_set(struct ones_request *req, const char *name, json_t *value);

/* Remove the value, if there is one. Returns false when there is no memory for it. */
bool ones_data_remove(struct ones_request *req, const char *name);

/* ---- SQL of modules: ones_sql(3) -------------------------------------------------------------------------------- */

/*
 * The daemon's own database, over the connection that this process has. Tables stand in the schema that has the
 * module's name, and SQL names them with it: cinema.titles. The role of the daemon may read and write rows there, see
 * "migrate" in onesessionctl(8).
 *
 * A call waits for the answer, and nothing else is served by this worker meanwhile. It takes no longer than
 * database.statement_timeout, and what is left of the request's time (server.request_timeout).
 */
struct ones_db;
struct ones_rows;

/*
 * For handlers: lasts as long as the request. Receivers in the transaction have event->db. Routes that are quick or
 * have .needs = ONES_NEEDS_NOTHING have no SQL: each call is then ONES_RESULT_FAILED, and logged; so it is with NULL,
 * which this returns when out of memory.
 */
struct ones_db *ones_db(struct ones_request *req);

enum ones_value_type {
	ONES_VALUE_NULL,
	ONES_VALUE_INT,
	ONES_VALUE_BOOL,
	ONES_VALUE_TIME,
	ONES_VALUE_TEXT,
	ONES_VALUE_BYTES,
};

/* A value for $1, $2...: made by the macros below. What it points at is borrowed until the call returns. */
struct ones_value {
	enum ones_value_type type;
	int64_t number;
	const void *data;
	size_t size;
};

static inline struct ones_value ones_number_value(enum ones_value_type type, int64_t number)
{
	const struct ones_value value = {type, number, NULL, 0};

	return value;
}

static inline struct ones_value ones_data_value(enum ones_value_type type, const void *data, size_t size)
{
	const struct ones_value value = {type, 0, data, size};

	return value;
}

static inline struct ones_value ones_text_value(const char *text)
{
	return ones_data_value(ONES_VALUE_TEXT, text, 0);
}

#define ONES_NULL        ones_number_value(ONES_VALUE_NULL, 0)
#define ONES_INT(number) ones_number_value(ONES_VALUE_INT, (number))
#define ONES_BOOL(truth) ones_number_value(ONES_VALUE_BOOL, (truth) ? 1 : 0)
/* An ones_time; 0 is SQL NULL. One that is not of the years 1 to 294246 is ONES_RESULT_VIOLATION. */
#define ONES_TIME(when)        ones_number_value(ONES_VALUE_TIME, (when))
#define ONES_TEXT(text)        ones_text_value(text) /* NULL is SQL NULL. Also for uuid, jsonb... */
#define ONES_BYTES(data, size) ones_data_value(ONES_VALUE_BYTES, (data), (size)) /* bytea; NULL is SQL NULL */

/* Both arguments that ones_sql() takes for values, of which there is at least one: ONES_VALUES(ONES_INT(id)). */
#ifdef __cplusplus
extern "C++" {
namespace onesession
{
template <typename... Values> char (&one_byte_each(Values...))[sizeof...(Values)];
}
}
/* C++ has no arrays within expressions; what a list has in it lasts until the call has returned. */
#define ONES_VALUES(...)                                                                                               \
	std::initializer_list<struct ones_value>{__VA_ARGS__}.begin(), sizeof(onesession::one_byte_each(__VA_ARGS__))
#else
#define ONES_VALUES(...)                                                                                               \
	(const struct ones_value[]){__VA_ARGS__},                                                                      \
		sizeof((const struct ones_value[]){__VA_ARGS__}) / sizeof(struct ones_value)
#endif

/*
 * Run one statement: SELECT, INSERT, UPDATE, DELETE, MERGE, WITH, VALUES, TABLE, LOCK or NOTIFY. `rows`, unless it is
 * NULL, gets what it returns (RETURNING as well), all of it in memory: large tables want a LIMIT. More than 16 MiB is a
 * mistake, ONES_RESULT_FAILED; what the statement has changed outside of a transaction is then changed. Rows belong to
 * the request, event or job. Without values: NULL, 0.
 *
 *	ones_sql(db, &rows, "SELECT title, price FROM cinema.titles WHERE id = $1", ONES_VALUES(ONES_INT(id)))
 *
 * Values never become part of the SQL: the server gets them apart, and takes each for what the place of its $n asks
 * for, so that ONES_INT() serves smallint, integer, bigint and numeric alike. Where that says nothing, as in SELECT $1,
 * it is a text: $1::bigint. A list is a text: id = ANY($1), ONES_TEXT("{1,2}").
 *
 * What would outlast the request in the connection, which all others have as well, is refused, ONES_RESULT_FAILED, and
 * logged as sql_refused: SELECT ... INTO, set_config(), UPDATE of pg_settings, pg_advisory_lock() and its like without
 * _xact_, names that are written U&"...". Temporary tables, as a function may make them, hide no others. The
 * connection has its DateStyle, IntervalStyle, bytea_output, extra_float_digits and standard_conforming_strings,
 * whatever the role's are.
 *
 * The statement is prepared by itself, and known again by its text, which should be a constant; 200 are kept. Outside a
 * transaction it is a transaction of its own.
 *
 * ONES_RESULT_OK, ONES_RESULT_DUPLICATE, ONES_RESULT_VIOLATION, ONES_RESULT_CONFLICT (try again), ONES_RESULT_FAILED (a
 * mistake in the SQL, or a right that is missing), or ONES_RESULT_UNAVAILABLE: the database is away, took too long, or
 * the connection broke off. Then a statement that changes something may have been carried out or not; it is never sent
 * a second time once it may have been. Each failure is logged as sql_failed, without values.
 */
enum ones_result ones_sql(struct ones_db *db, struct ones_rows **rows, const char *sql,
                          const struct ones_value values[], size_t count);

/* How many there are; 0 for NULL. */
size_t ones_rows_count(const struct ones_rows *rows);

/*
 * The value in the column of that name, in a row counted from 0. A name that is not there, or twice, a row that is not
 * there, or a column of another type is the module's mistake: it is logged as sql_misread, the value is NULL, 0 or
 * false, and the answer of the request becomes a 500; in a transaction, that is rolled back.
 */

/* Of any type, as PostgreSQL writes it. NULL: SQL NULL. */
const char *ones_text(const struct ones_rows *rows, size_t row, const char *column);

/* smallint, integer, bigint; numeric without a fraction, as sum() gives it. 0 for SQL NULL: see ones_is_null(). */
int64_t ones_int(const struct ones_rows *rows, size_t row, const char *column);

/* boolean; false for SQL NULL. */
bool ones_bool(const struct ones_rows *rows, size_t row, const char *column);

/*
 * timestamptz; 0 for SQL NULL, INT64_MAX and INT64_MIN for infinity and -infinity. A moment that is not of the years 1
 * to 294246 is misread as a column of another type is; ones_text() gives it.
 */
ones_time ones_time_at(const struct ones_rows *rows, size_t row, const char *column);

/* bytea; *size is set. NULL for SQL NULL, and not NULL for an empty one. */
const void *ones_bytes(const struct ones_rows *rows, size_t row, const char *column, size_t *size);

bool ones_is_null(const struct ones_rows *rows, size_t row, const char *column);

/*
 * All rows as an array of objects, with a member for each column: integers and double precision as numbers, boolean,
 * json and jsonb as what they are, timestamptz as ones_time_json(), with microseconds where it has any, all others,
 * numeric among them, as text. A new reference. NULL when out of memory; also, with the consequences above, when two
 * columns have one name.
 *
 * A moment that is not of the years 1 to 294246 is a text, as PostgreSQL writes it. So is a json or jsonb value as a
 * whole that Jansson cannot have: with a number of 1e309 or more, more than 2048 levels, half of a surrogate pair
 * ("\ud800"), or U+0000 in a member's name. Where only an integer has more than 64 bits, all integers of that value are
 * real numbers.
 */
json_t *ones_rows_json(const struct ones_rows *rows);

/*
 * Run `body` in a transaction (READ COMMITTED), and commit when it returns ONES_RESULT_OK; anything else rolls back,
 * and is returned. After a statement that failed no other one runs, so that a body returns what that one gave.
 *
 * After a conflict with another transaction (a deadlock, or a connection that was lost before COMMIT) `body` runs
 * again, up to five times in all, from its beginning: it has no other effects, and sets all that it leaves in
 * `context`. What was emitted in it (see ones_emit()) is of its last run only.
 *
 * ONES_RESULT_UNAVAILABLE after COMMIT was sent means that nobody knows whether it was carried out; the log has
 * commit_unknown, and receivers after the commit are not called. Who must know looks for what the transaction would
 * have left, such as a row under an id that was made before; to run it again may do it twice.
 *
 * Transactions do not nest, in a receiver neither: that is refused, ONES_RESULT_FAILED, and so are ones_login(),
 * ones_sign_in(), ones_logout(), ones_change_password(), ones_confirm() and ones_end_session() in a body, which have
 * transactions of their own.
 */
enum ones_result ones_transact(struct ones_db *db, enum ones_result (*body)(struct ones_db *db, void *context),
                               void *context);

/* ---- Accounts: ones_account(3) ---------------------------------------------------------------------------------- */

/*
 * What makes and changes accounts: for sign-up, forgotten passwords, addresses that are proved. Where a function takes
 * a `db` and changes something it has to be in a transaction (ones_transact(), or a receiver's); outside of one it is
 * ONES_RESULT_FAILED and logged as sql_refused. ONES_RESULT_CONFLICT, ONES_RESULT_FAILED and ONES_RESULT_UNAVAILABLE
 * are as of ones_sql(); ONES_RESULT_VIOLATION: there is no account with that id. Each change is an event. What
 * operators decide alone (administrators, limits, whether an account is disabled) has no function here, nor has the
 * daemon's role the right to it.
 */

/* It belongs to the request, event or job. */
struct ones_account {
	struct ones_user user;
	const char *email;           /* its local part as it was given, its domain in ASCII; NULL: none */
	ones_time email_verified_at; /* 0: it is not verified, and neither signs in nor gets mail */
	bool is_active;              /* false: an operator has disabled the account */
	bool has_password;           /* false: it waits for one, as after an invitation */
	ones_time created_at;
	ones_time delete_at; /* when it is deleted for good, see ones_account_delete_in(); 0: it stays */
};

/*
 * The account that somebody means who types that to sign in: the one of that name, or else the one whose verified
 * address it is, whatever the case. *account is NULL when there is none. That there is one is nothing for strangers.
 */
enum ones_result ones_account_by_login(struct ones_db *db, const char *login, const struct ones_account **account);

/* Likewise, the one with that id. */
enum ones_result ones_account_by_id(struct ones_db *db, int64_t user_id, const struct ones_account **account);

/*
 * Why no new account can have that name, which ones_plain_name() has given: a sentence for its person, see
 * ones_sentence(); NULL: it can, if nobody has it.
 */
const char *ones_name_problem(const char *username);

/*
 * The one form of an e-mail address (RFC 5321 and 6531, IDNA 2008) that was typed or pasted: its local part as it is,
 * its domain in lower case and ASCII. NULL when it is none, or out of memory. Quoted local parts and addresses in
 * brackets are none.
 */
const char *ones_plain_email(struct ones_request *req, const char *typed);

/* The same address for people: its domain as it is written in its language. NULL when out of memory. */
const char *ones_email_shown(struct ones_request *req, const char *email);

struct ones_new_account {
	const char *username;      /* as ones_plain_name() gives it */
	const char *password_hash; /* as ones_hash_password() gives it; NULL: it has none, until ones_sign_in() */
	const char *email;         /* as ones_plain_email() gives it; NULL: none */
	bool is_email_verified;
};

/*
 * Make an account, with the event user_added; *user_id is its number. ONES_RESULT_DUPLICATE when another has that name
 * or address, also the address as a name: nothing has changed then, and the transaction can go on.
 * ONES_RESULT_UNACCEPTABLE: ones_name_problem() has something against the name, or that is no address.
 */
enum ones_result ones_account_add(struct ones_db *db, const struct ones_new_account *account, int64_t *user_id);

/*
 * Give the account an address, verified or not, in place of the one that it has, which may be the same; NULL: none.
 * The event user_email_changed names no address. ONES_RESULT_DUPLICATE and ONES_RESULT_UNACCEPTABLE as above.
 */
enum ones_result ones_account_set_email(struct ones_db *db, int64_t user_id, const char *email, bool is_verified);

/*
 * Take the account's password away, for somebody else knows it: every session ends (ONES_REASON_PASSWORD_CHANGED), and
 * nobody gets in until ones_sign_in() or an operator has given it another one. The event is password_withdrawn.
 */
enum ones_result ones_account_withdraw_password(struct ones_db *db, int64_t user_id);

/*
 * End all sessions of the account, for one of the reasons ONES_REASON_LOGGED_OUT, ONES_REASON_REVOKED and
 * ONES_REASON_PASSWORD_CHANGED; receivers of user_logged_out are called for each. *ended, unless it is NULL, is how
 * many there were.
 */
enum ones_result ones_account_end_sessions(struct ones_db *db, int64_t user_id, enum ones_reason reason, size_t *ended);

/* Forget the account's failed logins: it can be tried again at once. */
enum ones_result ones_account_forget_failures(struct ones_db *db, int64_t user_id);

/*
 * The account is to be deleted for good when so many milliseconds have passed, or, if that was to be already, at the
 * earlier moment; until then it is as it was, and can be kept after all. It ends no session. *delete_at, unless it is
 * NULL, is the moment. The events are deletion_requested
 * and deletion_cancelled, the latter also where there was nothing to cancel.
 */
enum ones_result ones_account_delete_in(struct ones_db *db, int64_t user_id, int64_t pause_ms, ones_time *delete_at);
enum ones_result ones_account_keep(struct ones_db *db, int64_t user_id);

/*
 * Delete the account now: its sessions end, its rows are gone, those of modules, too, that refer to it with ON DELETE
 * CASCADE, and its name, addresses and browsers are taken out of its events.
 */
enum ones_result ones_account_delete(struct ones_db *db, int64_t user_id);

/*
 * Hash a password that somebody has chosen, as the daemon stores it, for an account that is made, or for
 * ones_sign_in(); *hash belongs to the request. `username` and `email` are those of the person, or NULL: what is known
 * of somebody makes no good password. The route must have .hashes = true, and the handler is run twice, as with
 * ones_login(): ONES_RESULT_PENDING, then the result. A request has one password looked at, here or by ones_login().
 * ONES_RESULT_UNACCEPTABLE: see ones_password_problem(). ONES_RESULT_BUSY; ONES_RESULT_FAILED.
 */
enum ones_result ones_hash_password(struct ones_request *req, const char *password, const char *username,
                                    const char *email, const char **hash);

/*
 * Why the last ones_hash_password() or ones_change_password() of this request has answered ONES_RESULT_UNACCEPTABLE: a
 * sentence for its person, see ones_sentence(). It has too few characters or too many bytes, or withstands fewer
 * guesses than accounts.password_strength asks for. NULL when it has not. ones_reply_failure() answers with it.
 */
const char *ones_password_problem(const struct ones_request *req);

/* What lets somebody in without a password. */
struct ones_proof {
	int64_t user_id;               /* whom it lets in */
	const char *new_password_hash; /* of ones_hash_password(); NULL: the password stays as it is */
	/*
	 * Use the proof up, such as a token that was mailed, in the login's transaction: anything but ONES_RESULT_OK
	 * refuses the login, and all is rolled back. It may be called again, as the body of ones_transact() may.
	 */
	enum ones_result (*in_transaction)(struct ones_db *db, void *context);
	void *context;
};

/*
 * Sign this request's browser in without a password: a login by the rule, in one transaction with what uses the proof
 * up. *login is filled in, and the cookies are set, as by ones_login(). No limit stands in its way, whatever
 * session.on_limit and sharing.action are: the sessions beyond it are displaced. With a new password every other
 * session of the account ends, for ONES_REASON_PASSWORD_CHANGED, its failed logins are forgotten, and there are two
 * events, password_changed and user_logged_in.
 *
 * What in_transaction has returned, if that was not ONES_RESULT_OK; ONES_RESULT_INVALID: there is no such account;
 * ONES_RESULT_CLOSED: it is disabled. ONES_RESULT_REFUSED, ONES_RESULT_BUSY, ONES_RESULT_UNAVAILABLE and
 * ONES_RESULT_FAILED as of ones_login().
 */
enum ones_result ones_sign_in(struct ones_request *req, const struct ones_proof *proof, struct ones_login *login);

/*
 * Count that this request's client asks for something which costs, and for which nobody has to be signed in: a mail, an
 * account. `what` is a name as modules have it, and each module's is counted by itself: an address, or a network of
 * IPv6, may ask for it login.attempts_per_address times in login.attempts_window, as it may fail to sign in so often,
 * which is counted apart. Called again in the same request, as when its handler is run twice, it answers the same and
 * counts nothing. Not in a transaction.
 *
 * ONES_RESULT_OK. ONES_RESULT_THROTTLED: it was too often, and *retry_after_s is for ones_retry_after(); it is 0
 * otherwise. ONES_RESULT_UNAVAILABLE; ONES_RESULT_FAILED, a mistake that is logged as throttle_fault.
 */
enum ones_result ones_throttle(struct ones_request *req, const char *what, int64_t *retry_after_s);

/* ---- The site's own programs: ones_program(3) ------------------------------------------------------------------ */

/*
 * A program of the site's own that keeps accounts, signs people in by other means, or asks who is signed in, comes from
 * an address in api.clients and brings a token that "onesessionctl token add" has made: Authorization: Bearer ost_... A
 * route with .scope is for such programs. The daemon's own are those of the API, see docs/api.md.
 *
 * What a program changes is an event whose detail has the name of its token, as "token".
 */

/* The name of the token that the request came with; NULL: there is none. */
const char *ones_caller(const struct ones_request *req);

/* Has it this scope, too, beside that of the route? When not, that has been answered (403 `insufficient_scope`). */
bool ones_caller_may(struct ones_request *req, const char *scope);

/* For a route with a session: the request is no activity of its person, as with .passive. */
void ones_stay_passive(struct ones_request *req);

/* What is known of an account whose terms can be changed; see ones_account_put(). */
struct ones_account_put {
	const char *username; /* as ones_plain_name() gives it */
	const json_t *terms;  /* an object with what is to be so. Borrowed */
	/* What has become of it: */
	int64_t user_id;
	bool is_new;         /* the account was made */
	bool is_changed;     /* something of it was */
	const char *problem; /* after ONES_RESULT_UNACCEPTABLE: why, in a sentence; NULL: see ones_account_put() */
};

/*
 * What is wrong with such terms in any case, in a sentence (constant, or on the request); NULL: nothing. The members
 * are "email", a text or null, and "email_verified", whether it is the person's; "plan", the name of one, or null;
 * "groups", a list of up to 64 names; "session_limit", a number (0: any number of sessions), or null: the plan's, or
 * session.max_sessions; "valid_until", when the plan ends, a moment as in RFC 3339, or null; "is_active", whether it
 * can sign in (false ends its sessions); "external_id", what other programs call it, up to 255 characters, or null; and
 * "password_hash", as ones_hash_password() gives it, or another form that is verified, which ends its sessions. Any
 * other is wrong.
 */
const char *ones_account_terms_problem(struct ones_request *req, const json_t *terms);

/*
 * Make the account of that name, or change what of it is not as the terms say, in a transaction (ones_transact()). What
 * is so already is no change, so that to do it again does nothing. Events: user_added; user_email_changed,
 * user_enabled, user_disabled, user_password_changed, and user_changed with "before" and "after" of all else.
 *
 * ONES_RESULT_OK. ONES_RESULT_DUPLICATE: the address, or the external_id, is another account's.
 * ONES_RESULT_UNACCEPTABLE: the name or the address cannot be used, or there is no such plan. ONES_RESULT_CLOSED: it is
 * an administrator's account: its password, its address, its external_id and whether it is active are for operators.
 * Nothing is changed then. Others as of ones_sql().
 */
enum ones_result ones_account_put(struct ones_db *db, struct ones_account_put *put);

/* A login of somebody whom a program of the site's has authenticated. The strings may be NULL where it says so. */
struct ones_program_login {
	int64_t user_id;
	const char *ip;         /* of the person's browser; NULL: not known */
	const char *user_agent; /* likewise */
	const char *presented;  /* the key that the browser holds, its cookie's value; NULL: none */
	const char *device;     /* the value of its device cookie; NULL: none */
	const char *ticket;     /* of an earlier one that was ONES_RESULT_LIMIT; NULL: none */
	bool is_secure;         /* the cookies are for HTTPS (session.cookie_secure has the last word) */
	bool is_fresh;          /* the person has proved who they are just now; false: was remembered */
	bool take_over;         /* as in struct ones_credentials */
	const char *key;        /* one of the application's own making (session.key_from), which nobody can guess and no
	                           session has had; NULL: one is made */
};

/* What the program is to hand to the browser. */
struct ones_issued {
	const char *token; /* the session's key, of 43 characters: it lets in, and is stored nowhere. NULL: it is
	                      the one that was given */
	const char *session_cookie; /* the value of a Set-Cookie field, as the next; NULL: the key was given */
	const char *device_cookie;
};

/*
 * Sign that person in, by the rule, as ones_login() does after the password was right: limits, cooldown, receivers and
 * events are the same, and so are the results; a browser that presents its key or its device cookie rotates. The
 * cookies are in *issued, and not in the answer. ONES_RESULT_INVALID: there is no such account.
 * ONES_RESULT_UNACCEPTABLE: the key cannot be one: it is not of 16 to 4096 bytes as a cookie's value or the credentials
 * of Bearer may have, or session.key_from is not set. ONES_RESULT_DUPLICATE: there is, or was, a session with that key.
 */
enum ones_result ones_sign_in_for(struct ones_request *req, const struct ones_program_login *given,
                                  struct ones_login *login, struct ones_issued *issued);

/* The live sessions of that account, the newest login first, up to 1000; for handlers outside of a transaction. */
enum ones_result ones_sessions_of(struct ones_request *req, int64_t user_id, struct ones_places *places);

/*
 * End the session with that id, whose ever it is, in a transaction, for one of the reasons that
 * ones_account_end_sessions() takes. *found is whether there was one.
 */
enum ones_result ones_session_end(struct ones_db *db, const char *id, enum ones_reason reason, bool *found);

/* ---- Reading the request: ones_request(3) ----------------------------------------------------------------------- */

enum ones_method {
	ONES_METHOD_GET,
	ONES_METHOD_POST,
	ONES_METHOD_PUT,
	ONES_METHOD_PATCH,
	ONES_METHOD_DELETE,
	ONES_METHOD_OPTIONS,
	ONES_METHOD_COUNT
};

/* HEAD is seen as ONES_METHOD_GET: the answer's body is left out on the way. */
enum ones_method ones_method(const struct ones_request *req);

/*
 * True when the web server asks in the role of an authorizer (FastCGI 1.0, 6.3): status 200 lets the request in, and
 * it puts header fields called Variable-NAME into the request's environment. Such requests go to the route that has
 * ONES_PURPOSE_GUARD.
 */
bool ones_is_authorizer(const struct ones_request *req);

/*
 * True when the client is a program, that is when the body is JSON or Accept prefers application/json (RFC 9110,
 * 12.5.1); false for a person's browser.
 */
bool ones_is_program(const struct ones_request *req);

/* The first value of a field of the query string, decoded; NULL when it is not there. */
const char *ones_query(const struct ones_request *req, const char *name);

/*
 * The first value of a field of the body, be it a form (application/x-www-form-urlencoded, or multipart/form-data, of
 * which files are none: see ones_uploads()) or a JSON object's member that is a string; NULL when it is not there. The
 * body was read and checked before the handler ran.
 */
const char *ones_field(const struct ones_request *req, const char *name);

/* The body's JSON value, or NULL when the body is not JSON. Borrowed: do not decref. */
const json_t *ones_json(const struct ones_request *req);

/*
 * The body's bytes, *size of them, as they came: for routes with ONES_BODY_RAW in .bodies, whatever its type is. Not
 * ended by a NUL. NULL, and 0, when there is none, when it is on disk (see ones_uploads()), and for other routes.
 */
const void *ones_body(const struct ones_request *req, size_t *size);

/*
 * A FastCGI parameter such as "REMOTE_ADDR" or "SERVER_NAME" (RFC 3875, 4.1), as the web server wrote it; NULL when it
 * is not there. HTTP_COOKIE is none of them: see ones_cookie().
 */
const char *ones_param(const struct ones_request *req, const char *name);

/*
 * How often that parameter is there: web servers send one twice that their configuration sets twice, and ones_param()
 * gives the last one.
 */
size_t ones_param_count(const struct ones_request *req, const char *name);

/*
 * A header field of the request by its name, in any case: "Accept-Language". As the client wrote it, which need not be
 * UTF-8; several of one name are one, as the web server joined them. NULL when it is not there, and for names that are
 * none (RFC 9110, 5.1), that have an underscore, which web servers cannot tell from a hyphen, and for Cookie: see
 * ones_cookie().
 */
const char *ones_request_header(const struct ones_request *req, const char *name);

/*
 * The value of the request's first cookie of that name that has at most 4096 bytes (RFC 6265, 5.4), as it was written;
 * NULL when there is none, when it is not UTF-8, and for the daemon's own: session.cookie_name, alone and with
 * "_device", "_check" or "_language" behind it, with and without a prefix; with the default name also "session" and
 * "session_device", as they were called until 0.1.
 */
const char *ones_cookie(const struct ones_request *req, const char *name);

/*
 * What stands in the request's path for the part :name of its route: never empty, without a slash, valid UTF-8. The web
 * server has decoded it, once (RFC 3875, 4.1.5), and it is not decoded again. A request whose part would have an escape
 * left, as a slash that was written %2F has, is answered with 404 before its handler. NULL when the route has no such
 * part.
 */
const char *ones_path(const struct ones_request *req, const char *name);

/*
 * The same as a number: decimal digits, with a minus before them or without. False, and *number is left, when it is
 * anything else (a plus, a space, a fraction, nothing), when it does not fit, and when the route has no such part.
 */
bool ones_path_int(const struct ones_request *req, const char *name, int64_t *number);

/*
 * The first value of a field of the query string as a number, written as for ones_path_int(). `fallback` when it is not
 * there, when it is no number, and when it is less than `min` or more than `max`.
 */
int64_t ones_query_int(const struct ones_request *req, const char *name, int64_t fallback, int64_t min, int64_t max);

/* True when the body has the field with the value true: JSON's, or the text "true". */
bool ones_field_is_true(const struct ones_request *req, const char *name);

/* ---- Files that are sent and kept: ones_upload(3) --------------------------------------------------------------- */

/*
 * A file of a form (RFC 7578), or a whole body at a route with ONES_BODY_RAW and a .max_body of more than 16 MiB. It
 * has no name on the disk (server.spool), nobody else sees it, and it is gone when the request has ended, unless it was
 * kept. The strings are the client's, and may lie.
 */
struct ones_upload {
	const char *field;    /* the name of the form's field, valid UTF-8, as it was sent; "" for a whole body */
	const char *filename; /* the last part of what the client calls it, valid UTF-8, at most 255 bytes, with '?' for
	                         control characters; "" when it has none. To be shown, not to name a file by */
	const char *content_type; /* "application/octet-stream" when it has none */
	int64_t size;             /* bytes */
	int fd;                   /* to read from, at its beginning; it is closed by the daemon */
};

/*
 * The files of the request's body, in the order of the form: *all of them, as many as are returned. A field of a form
 * where no file was chosen is none. Several may have the same field, and the same filename.
 *
 * A form has at most 64 parts, with at most 8 KiB of header fields each; values of fields that are no files have at
 * most 64 KiB, and 1 MiB together. What is more is answered with 413 `too_large` before the handler, what is no form
 * with 400 `bad_request`, and when the disk is full, or all uploads under way have server.spool_max, with 507
 * `insufficient_storage`. A worker has up to 64 bodies under way; further ones are answered with 503 `busy`.
 */
size_t ones_uploads(const struct ones_request *req, const struct ones_upload **all);

/*
 * Declare a folder for files, at setup. `name`, of letters, digits, - and _, is for ones_keep_upload() and
 * ones_reply_stored(); it is part of an address in the web server, so no two modules can have the same, and is not
 * copied. Its path is the module's setting `key`, and begins with a slash. A setting that is absent, and a folder that
 * the daemon cannot write into, refuses the module.
 */
void ones_folder(struct ones_app *app, const char *name, const char *key);

/*
 * Keep a file under that name in a folder of ones_folder(): whole or not at all, and on the disk when it returns
 * (fsync(2)). A file that is there already is never replaced: ONES_RESULT_DUPLICATE. A name is UTF-8 of 1 to 255 bytes,
 * without slash, backslash and control characters, and does not begin with a dot: else ONES_RESULT_UNUSABLE_NAME.
 * ONES_RESULT_NO_SPACE; ONES_RESULT_FAILED, which is logged, also for a folder that was not declared. The folder says
 * who may read the file, which has mode 0644.
 *
 * It waits for the disk, as a handler may, and what this worker has under way waits with it; new requests go to others.
 * The most of a large file was written while it arrived, so no more than some 10 MiB are left for that. But where the
 * folder is on another file system than server.spool, or mounted by itself (ReadWritePaths= of systemd does that), the
 * file is copied first: see .timeout_ms.
 */
enum ones_result ones_keep_upload(struct ones_request *req, const struct ones_upload *upload, const char *folder,
                                  const char *name);

/*
 * Remove a file that was kept: from a handler with its `req`, from a job with NULL. ONES_RESULT_OK also when there is
 * none. Other results as above.
 */
enum ones_result ones_remove_stored(struct ones_request *req, const char *folder, const char *name);

/* ---- Addresses of this site: ones_url(3) ------------------------------------------------------------------------ */

/* The address of one of the daemon's own routes: ones_url(req, "/login") is "/session/login". */
const char *ones_url(struct ones_request *req, const char *path);

/* Likewise of the module whose handler runs: ones_module_url(req, "/titles") is "/cinema/titles". */
const char *ones_module_url(struct ones_request *req, const char *path);

/*
 * Where to go after signing in: `wanted` when it leads nowhere but into this site, else login.default_next, else the
 * route that has ONES_PURPOSE_HOME. Never NULL. The measure is Django's url_has_allowed_host_and_scheme: no scheme, no
 * host, no backslash, no control character, in no disguise.
 */
const char *ones_next(struct ones_request *req, const char *wanted);

/* The address of the page that the request came from (Referer: RFC 9110, 10.1.3); NULL when it is none of this site's.
 */
const char *ones_page_before(const struct ones_request *req);

/*
 * The sign-in page that leads to `wanted` afterwards: "/session/login?next=%2Fpage", the route that has
 * ONES_PURPOSE_SIGN_IN. `wanted` is as in ones_next(); it is left out when it leads elsewhere, is that page or one of
 * the daemon's own addresses, or is too long for a header field.
 * `lost`: what this request was to do has not been done; the page says so before signing in, and another after it.
 *
 * Where login.enabled is off it is access.login_url, a page of the site's own: with the same query, and with the field
 * `reason`, the code why the request has no live session ("displaced"), if it has none. Never NULL: where people sign
 * in nowhere it is the page of ONES_PURPOSE_HOME; see ones_can_sign_in().
 */
const char *ones_sign_in_url(struct ones_request *req, const char *wanted, bool lost);

/* Is there such a page: access.login_url where login.enabled is off, or a route with ONES_PURPOSE_SIGN_IN? */
bool ones_can_sign_in(const struct ones_app *app);

/*
 * The address `page`, a path of this site or one that begins with https://, with the field next= in its query that
 * leads on to `wanted`, as those two have it: with ? or & before it, and left out when `wanted` leads elsewhere.
 */
const char *ones_url_with_next(struct ones_request *req, const char *page, const char *wanted);

/* ---- Answering, exactly once for each request: ones_reply(3) ---------------------------------------------------- */

/*
 * The first answer is the one that is sent. What a handler does after it, another answer or header fields and cookies
 * for one, is a mistake that is logged and has no effect. A status is one from 200 to 599.
 */

/*
 * Add a header field to the answer that follows. It takes the place of a former one of that name, but for fields that
 * may be there several times: Vary, Link, WWW-Authenticate, Server-Timing. A session's answer is not to be
 * cached, and says so, unless Cache-Control is set here. A name that is none (RFC 9110, 5.1) and a value with a control
 * character are mistakes; so are Status, Content-Length, Transfer-Encoding and Connection, which are not the
 * handler's, and Set-Cookie: see ones_set_cookie().
 */
void ones_header(struct ones_request *req, const char *name, const char *value);

/* False when ones_header() refuses the value. */
bool ones_header_can_hold(const char *value);

/* Add Retry-After to the answer that follows; nothing for 0. */
void ones_retry_after(struct ones_request *req, int64_t wait_s);

/* When a browser sends a cookie along with what another site makes it send (RFC 6265bis, 5.7). */
enum ones_same_site {
	ONES_SAME_SITE_LAX = 0, /* when a link leads here */
	ONES_SAME_SITE_STRICT,  /* never */
	ONES_SAME_SITE_NONE,    /* always */
};

/*
 * A cookie for the browser (RFC 6265bis). Zero is the default of each member: of the whole site, until the browser is
 * closed, not for scripts, SameSite=Lax.
 */
struct ones_cookie {
	const char *name;  /* a token (RFC 9110, 5.6.2) */
	const char *value; /* ASCII without spaces, quotes, commas, semicolons and backslashes; "" is allowed */
	const char *path;  /* begins with a slash; NULL: "/" */
	int64_t max_age_s; /* seconds; 0: until the browser is closed; less: the cookie is taken away */
	bool for_scripts;  /* scripts of the site's pages may read it: no HttpOnly */
	enum ones_same_site same_site;
};

/*
 * Set a cookie with the answer that follows; another of the same name takes its place. It is Secure when the request
 * came by HTTPS (session.cookie_secure), and with ONES_SAME_SITE_NONE always. Mistakes are a name or a value that
 * cannot be one, the name of one of the daemon's own (see ones_cookie()), a prefix (__Host-, __Secure-) whose rules it
 * does not keep, more than 4096 bytes of name and value, and more than 16 cookies. The 500 of a mistake sets none.
 */
void ones_set_cookie(struct ones_request *req, const struct ones_cookie *cookie);

/* Status and header fields, no body. */
void ones_reply_empty(struct ones_request *req, int status);

/*
 * Any body: `size` bytes at `data`, which are copied, of that type: "image/png". 204 and 304 have none (RFC 9110, 15):
 * with these it is left out.
 */
void ones_reply_body(struct ones_request *req, int status, const char *content_type, const void *data, size_t size);

/* A JSON body. Takes over the reference, also of NULL (out of memory), which becomes a 500. */
void ones_reply_json(struct ones_request *req, int status, json_t *body);

/*
 * 303 See Other (RFC 9110, 15.4.4): `location` is a path of this site, as ones_url() and ones_next() give it, or an
 * address that the configuration names, as ones_sign_in_url() may.
 */
void ones_reply_redirect(struct ones_request *req, const char *location);

/*
 * One of the module's own pages, or else of those in handlers/pages, filled in with `values`, an object; takes over the
 * reference, also of NULL (out of memory), which becomes a 500. {{name}} is the value, escaped for HTML;
 * {{#name}}...{{/name}} is there for true, for each element of an array, and once for an object or a text that is not
 * empty, whose members are then looked at first; {{^name}}...{{/name}} is there when the other would not be; {{>file}}
 * is another of the pages, of the module's own first; {{@key}} is the text of that key in the language of the request,
 * see "Languages" below, of the module's own first. Always there are {{prefix}} of the daemon's routes,
 * {{module_prefix}}, {{sign_in}}, the address of the sign-in page (empty: there is none), {{has_login}} where that is
 * the daemon's own, and accounts have passwords here (login.enabled), {{site_name}}, {{name_label}},
 * {{signs_in_by_email}} where the label is the daemon's and accounts have addresses, {{can_mail}} where the site sends
 * mail, {{can_sign_up}} where people make accounts (accounts.signup), {{links}} (each with {{label}} and {{address}}),
 * {{has_links}}, {{displaces}} where signing in can end a session elsewhere,
 * {{language}}, {{languages}} where there are several (each with {{tag}}, {{name}}, and {{chosen}} for the one that the
 * page is in),
 * {{has_languages}}, and {{here}}, the address that shows the page again. {{>languages.html}} is a menu of them.
 */
void ones_reply_page(struct ones_request *req, int status, const char *page, json_t *values);

/*
 * The forms of the page that is the answer may lead on to another site, or to a program on a telephone: what people
 * sign in for may be there. Without this call a page's forms stay on this site (form-action 'self'), and Chromium holds
 * that against every redirect that follows as well.
 */
void ones_allow_form_redirects(struct ones_request *req);

/*
 * Let the page that is the answer load more than this site's style sheets and images: "media-src 'self'" or "img-src
 * https://img.example.org" in its Content-Security-Policy (CSP Level 3, 2.2), beside what is there for that directive.
 * The directives are child-src, connect-src, font-src, form-action, frame-ancestors, frame-src, img-src, manifest-src,
 * media-src, object-src, script-src, style-src and worker-src, and what follows is one source or more. Anything else is
 * logged and has no effect: the page is then as strict as without. At most 8 times for an answer.
 */
void ones_allow(struct ones_request *req, const char *directive);

/*
 * A body that is made while it is sent, of any size: `more` is called whenever the web server has taken what there was,
 * and puts up to `size` bytes into `buffer`. It returns how many, 0 when all was given, or -1 to cut the answer off:
 * the web server then sees that it is not whole. `done` (may be NULL) is called exactly once, when no more is wanted:
 * after the last piece, when the client has gone, also when the answer could not begin, as after another one, and for
 * HEAD.
 *
 * Other requests are served meanwhile, however slow the reader is; one who takes nothing for server.io_timeout is given
 * up. Both functions run in the worker, after the handler has returned: they may use `context` and what the request has
 * given (which lasts until `done`), and must not use the database but by ones_stream_db(), wait for anything else, or
 * call functions that answer. `more` that takes longer than a request may ends the worker.
 */
void ones_reply_stream(struct ones_request *req, int status, const char *content_type,
                       ssize_t (*more)(void *context, char *buffer, size_t size), void (*done)(void *context),
                       void *context);

/*
 * For `more` of a stream that is made of rows: the handler calls it before ones_reply_stream(), and `more` uses it,
 * with ones_sql() and no transaction. Its rows last until `more` returns, so that an answer of any number of them takes
 * the memory of a page; each page is found by the last key of the one before it, and not by OFFSET. When a statement
 * fails `more` returns -1. NULL when out of memory, which is as with ones_db().
 */
struct ones_db *ones_stream_db(struct ones_request *req);

/*
 * 200 with a file of a folder of ones_folder(), by a name as ones_keep_upload() takes it; 404 when there is none. The
 * web server sends it where its configuration says that it can (the FastCGI parameter ONESESSION_SENDFILE): ranges,
 * conditional requests and compression are its affair. Else the daemon sends all of it, as a stream. Of the answer's
 * other header fields nginx keeps Content-Disposition, Cache-Control, Expires and cookies only: X-Content-Type-Options
 * and a Content-Security-Policy, which a file that somebody has uploaded should have, are said in its location.
 * Cache-Control is no-store on routes that have a session, unless it is set here.
 */
void ones_reply_stored(struct ones_request *req, const char *folder, const char *name, const char *content_type);

/*
 * One of the module's own files, or of those in handlers/pages, as it is, for instance a style sheet; browsers may keep
 * it for an hour.
 */
void ones_reply_file(struct ones_request *req, const char *file, const char *content_type);

/*
 * An error: for programs problem+json (RFC 9457) with `code`, for people the page of ones_error_page(). `detail` is a
 * sentence for a human reader, in the module's first language; people get it in theirs, see ones_sentence(). 503 also
 * carries Retry-After.
 */
void ones_reply_problem(struct ones_request *req, int status, const char *code, const char *detail);

/* The same with further members for programs (RFC 9457, 3.2); takes over the reference, also of NULL. */
void ones_reply_problem_with(struct ones_request *req, int status, const char *code, const char *detail,
                             json_t *members);

/* 401 with the code of ones_ending(), and for programs "ended_at" and "by". */
void ones_reply_unauthenticated(struct ones_request *req);

/*
 * What went wrong with one of the functions above: 401, 403, 409, 429 with Retry-After, 503 or 500, with the code that
 * programs know. A refusal of a receiver's is 403 `refused` with its sentence, and with its code as "reason". `login`
 * is what a login or change of password has filled in, else NULL.
 */
void ones_reply_failure(struct ones_request *req, enum ones_result result, const struct ones_login *login);

/* {"id","username","is_admin"}: a new reference, NULL when out of memory. */
json_t *ones_user_json(const struct ones_user *user);

/* {"id","created_at","last_seen_at","expires_at"}, JSON null for NULL: a new reference, NULL when out of memory. */
json_t *ones_session_json(const struct ones_session *session);

/*
 * RFC 3339 in UTC ("2026-01-31T10:32:05Z"), or JSON null for 0, for infinity, and for what is not of the years 1 to
 * 294246: a new reference, NULL when out of memory.
 */
json_t *ones_time_json(ones_time when);

/* {"browser","os"} of what ended a session; {"id","created_at","last_seen_at","browser","os"} of a place. Likewise. */
json_t *ones_by_json(const struct ones_ending *ending);
json_t *ones_place_json(const struct ones_place *place);

/*
 * For pages: a moment, JSON null when it is not known. moment.html shows it in the language of the page: by "today",
 * whether it is today (UTC), "clock" ("10:32"), "day", "month" (an object with "number", and one member by the month's
 * English name), and "year", null for this one. "text" is the same in English ("10:32 UTC"), and "iso" RFC 3339's.
 */
json_t *ones_moment_json(ones_time when);

/* For pages: {"minutes","one"} of a time to wait, rounded up; NULL also for 0. */
json_t *ones_wait_json(int64_t wait_s);

/* True while the database answers; costs one round trip. */
bool ones_database_ready(struct ones_request *req);

/* Other faults of the database, such as a sequence that is behind its table: a JSON array of sentences, as above. */
json_t *ones_database_warnings(struct ones_request *req);

/* ---- Languages of pages: ones_language(3) ----------------------------------------------------------------------- */

/*
 * A folder "texts" among a module's pages has its texts, in a file for each language, whose name is the language's tag
 * (RFC 5646): en.ini, de.ini, zh-Hans.ini. They are UTF-8; a line "title = My films" below a line "[films]" is the text
 * films.title, and lines that begin with a semicolon are comments. In [language], "name = English" is what the menu has
 * for it. A text is HTML and may have all that pages may have in {{}}: where a language puts a value is its own affair.
 * English is the first language, or without it the one that comes first by its name. It has all texts: one that it
 * lacks is none, and a page that has it in {{@}} refuses the module. One that another language lacks is taken from the
 * first, and a warning at start (texts_missing).
 *
 * The language of a request is the one that its person has chosen in the menu; else of the module's languages the one
 * that the browser prefers (Accept-Language: RFC 9110, 12.5.4; "de-CH" finds de, and "zh" finds zh-Hans); else the
 * first. Pages say so in Content-Language. The pages of a module without texts are in one language, and what they
 * include of the daemon's is in its first.
 */

/*
 * The tag of that language, of those that the module has texts in: "de". From then on the answer says that it depends
 * on it (Vary), as pages do by themselves.
 */
const char *ones_language(struct ones_request *req);

/*
 * The text of that key, the module's own or else the daemon's, in the language of the request, for what is no page: a
 * mail, an answer to a script. It is filled in with `values`, an object or NULL for none, whose reference it takes
 * over, and nothing is escaped. A key that there is not is a mistake, "" then.
 */
const char *ones_say(struct ones_request *req, const char *key, json_t *values);

/*
 * What a sentence of C code, which is in the module's first language, is in that of the request, for a page: the text
 * of the section [sentences] that has it word for word in the first language, in the module's texts, in another one's,
 * or in the daemon's; else the sentence as it is.
 */
const char *ones_sentence(struct ones_request *req, const char *sentence);

/*
 * The texts of one section in the language of the request, as they are in the file, for scripts: {"title": "My films"}.
 * They are the module's; those of the daemon for a module without texts. A new reference, NULL when out of memory.
 */
json_t *ones_texts_json(struct ones_request *req, const char *section);

/*
 * Remember the choice of a language in this browser, by a cookie: session.cookie_name with "_language" behind it, of
 * the whole site. Returns false, and nothing has changed, for what has not the form of a language's tag.
 */
bool ones_choose_language(struct ones_request *req, const char *language);

/* ---- For operators: ones_operators(3) --------------------------------------------------------------------------- */

/* The pool's state, worker by worker, as JSON: a new reference, NULL when out of memory. */
json_t *ones_status_json(struct ones_request *req);

/*
 * Everything that is counted, as text in the format of OpenMetrics 1.0.0. Programs that do not ask for it by name in
 * Accept get the spelling of Prometheus' own text format, which differs in the names of counters only.
 */
void ones_reply_metrics(struct ones_request *req);

/* ---- Routes: ones_route(3) -------------------------------------------------------------------------------------- */

typedef void ones_handler(struct ones_request *req);

/* What has to be there before a route's handler runs. */
enum ones_needs {
	ONES_NEEDS_SESSION = 0,  /* the database, and the session is looked up: ones_session() */
	ONES_NEEDS_SESSION_DATA, /* and so is its data, which is read before the handler, and written after it */
	ONES_NEEDS_DATABASE,     /* for machines: no session is looked up */
	ONES_NEEDS_NOTHING,      /* neither: without a body it is answered even while every worker is busy, if none of
	                            them is kept for the daemon's own routes (server.guard_workers) */
};

/*
 * Types of bodies that a route takes; flags. Forms and JSON are kept in memory. A form of ONES_BODY_MULTIPART, and any
 * body of ONES_BODY_RAW where .max_body is more than 16 MiB, is stored on disk while it arrives, and the worker serves
 * others meanwhile; for these not the whole time is limited, but the time between two arrivals (server.io_timeout) and
 * the pace (server.upload_rate): 408 `too_slow`. Who may (.signed_in, .admins_only, .cross_site) is checked before a
 * byte is stored, and again when all are there: a route that has uploads should be .signed_in, or anybody may fill the
 * disk.
 */
enum ones_bodies {
	ONES_BODY_FORM = 1,      /* application/x-www-form-urlencoded, or no type: see ones_field() */
	ONES_BODY_JSON = 2,      /* application/json, an object: see ones_json() and ones_field() */
	ONES_BODY_MULTIPART = 4, /* multipart/form-data: see ones_uploads() and ones_field() */
	ONES_BODY_RAW = 8,       /* any other: see ones_body(), which has the bytes of all, and ones_uploads() */
};

/* What the daemon itself leads to a route for. */
enum ones_purpose {
	ONES_PURPOSE_NONE = 0,
	ONES_PURPOSE_GUARD,   /* web servers in the role of an authorizer ask it, by GET and whatever the path is */
	ONES_PURPOSE_SIGN_IN, /* people sign in there: ones_sign_in_url(), whose query has `next` and `lost` */
	ONES_PURPOSE_CONFIRM, /* people prove there again who they are: ones_confirm_url(), with such a query */
	ONES_PURPOSE_HOME,    /* people come to it after signing in when they wanted nothing else: ones_next() */
};

/*
 * A path is of segments between slashes: "/titles/:id/position". A segment that begins with a colon is a part, which
 * stands for anything but nothing; its name is of letters, digits and underscores, and ones_path() gives what stands
 * there. Where several routes fit, the one that has a literal at the first segment in which they differ: "/titles/new"
 * comes before "/titles/:id", whatever the order in which they were added. Then its methods are what counts: another
 * route is not looked for. Refused at start, with a sentence that names the routes: two that fit the same paths and
 * have a method in common, a path that no request can have, and contradictions.
 *
 * Each method has its handler; what else is said holds for all of them: where it is not to, as at a path that anybody
 * may read and those who are signed in may post to, each has a route of its own with the same path. HEAD is served by
 * .get. A method that has none, OPTIONS among them, is answered with 405 and Allow. A request with a method other than
 * GET, HEAD and OPTIONS that another site made the browser send (Sec-Fetch-Site, Origin) is answered with 403
 * `cross_site`.
 */
struct ones_route {
	const char *path;  /* below the module's prefix, begins with a slash */
	ones_handler *get; /* serves HEAD too */
	ones_handler *post;
	ones_handler *put;
	ones_handler *patch;
#ifdef __cplusplus
	ones_handler *delete_; /* the same member; `delete` is a word of C++ */
#else
	ones_handler *delete;
#endif
	ones_handler *any; /* every method, also OPTIONS and those that have no name here, in place of all above */
	enum ones_needs needs;
	unsigned int bodies; /* of enum ones_bodies, others are answered with 415; 0: ONES_BODY_FORM | ONES_BODY_JSON */
	int64_t max_body;    /* bytes, a larger one is answered with 413; 0: server.max_body. Up to 16 MiB; with
	                        ONES_BODY_MULTIPART or ONES_BODY_RAW up to 1 TiB, and when it is more than 16 MiB,
	                        server.max_body is the limit of what is kept in memory */
	int64_t timeout_ms; /* for the handler, from 100 up to ten minutes: past it the worker is ended, and the request
	                       with it; 0: server.request_timeout. Reading the body does not count, and neither does a
	                       password's check */
	bool signed_in;     /* without a live session it is answered with ones_reply_unauthenticated() */
	bool fresh;         /* likewise; and one that is not fresh with ones_reply_stale(): see ones_is_fresh() */
	bool admins_only;   /* the same, and with 403 `forbidden` when the account is none of an admin's */
	bool cross_site;    /* requests that another site made are taken whatever their method is: must not change
	                       anything on the word of the session alone */
	bool passive;       /* a request is no activity of the person: last_seen_at stays (pollers) */
	bool operators_only; /* is not there for others than those at the addresses in server.operators */
	bool no_body;        /* a body is neither read nor waited for: sub-requests carry the client's CONTENT_LENGTH */
	bool hashes;         /* its handler checks a password, and may be run twice: see ones_login() */
	bool navigations;    /* a client that asks for something else than a page to be shown is a program here */
	bool quick;          /* GET waits for nothing, not even the database: it is answered before those that may,
	                        if no worker is kept for the daemon's own routes (server.guard_workers) */
	/*
	 * It is for the site's own programs: not there for other addresses than those in api.clients, and open to a
	 * token of the API with this scope ("users", "sessions", "events", "credentials"): see ones_caller(). "": no
	 * token is asked for. It has no session, so .needs is not ONES_NEEDS_SESSION, unless .key_field says which.
	 * NULL: for anybody.
	 */
	const char *scope;
	/*
	 * With .scope, and without .get: the session is the one whose key is the text in this member of the body's
	 * JSON; cookies are not looked at. With .quick the handler waits for nothing, as that of a quick GET.
	 */
	const char *key_field;
	enum ones_purpose purpose; /* of one route of a module; of several modules that of the last in server.modules
	                              is used, and those of the daemon's own (/auth, /login, /confirm, /account) where
	                              there is none. Its path has no parts */
};

/*
 * Which of the module's pages people get for a problem at its routes, in place of the daemon's, filled in with
 * {{title}}, {{status}}, {{code}}, {{detail}}, {{#is}} with a member of the code's name, {{request_id}} of a 5xx,
 * {{#retry}} as ones_wait_json(), {{limit}} of a body that was larger than it may be, such as "2 MiB", and
 * {{sign_in_here}} of a 401: the sign-in page, which leads back here. {{title}} is the status's phrase in English;
 * {{>error_title.html}} is a title in the page's language. The string is not copied.
 */
void ones_error_page(struct ones_app *app, const char *page);

/*
 * Add a route of the module whose setup runs. `route` is copied, its strings are not. What is wrong with it refuses the
 * module.
 */
void ones_route(struct ones_app *app, const struct ones_route *route);

/* ---- Signals and their receivers: ones_connect(3) --------------------------------------------------------------- */

enum ones_signal {
	ONES_SIGNAL_LOGGED_IN,
	ONES_SIGNAL_LOGGED_OUT, /* a session ended by its person, an operator, a new password or a disabled account */
	ONES_SIGNAL_LOGIN_FAILED,
	ONES_SIGNAL_SESSION_DISPLACED,
	ONES_SIGNAL_ACCOUNT_SHARED, /* sharing.takeovers displacements in sharing.window; once in each window */
	ONES_SIGNAL_PASSWORD_CHANGED,
	ONES_SIGNAL_IDENTITY_CONFIRMED, /* somebody who is signed in has proved it again: see ones_confirm() */
	ONES_SIGNAL_COUNT,              /* of those above */
	ONES_SIGNAL_OWN = 1000, /* one of an application's own, see ones_signal(): the event's name says which */
};

/* Of an application's own signal all texts are "" and all numbers 0 but for signal, name, data, db and transaction. */
struct ones_event {
	enum ones_signal signal;
	int64_t user_id;           /* 0 when no account has the name given at a failed login */
	const char *username;      /* "" likewise */
	const char *session_id;    /* the session that began or ended, or that did it; "" at a failed login */
	const char *by_session_id; /* the session that took its place or ended it, else "" */
	enum ones_reason reason;   /* why it ended; ONES_REASON_LIVE at a login */
	const char *ip;         /* of the request behind it; "" when there is none, or it is a program's by the API */
	const char *user_agent; /* likewise */
	const char *language; /* the tag of the language that its pages are in, at a login or a new password; else "" */
	/*
	 * At a login by password: the account was signed in before, of late and in other browsers, and not in this one.
	 * Who is not known by a cookie is new: a browser whose cookies were deleted, too.
	 */
	bool is_new_browser;
	bool is_first_password;     /* at password_changed: the account had none before, as after an invitation */
	const char *was_ip;         /* of a session that ended: where it had signed in from; else "" */
	const char *was_user_agent; /* likewise, the browser that it was in */
	int64_t takeovers;          /* at account_shared: how many there were in the window, else 0 */
	const char *program;        /* the token of the API by which a program of the site's has done it; else "" */
	struct ones_db *db;         /* in the transaction: for ones_sql(); NULL after commit */
	struct ones_transaction *transaction; /* likewise, for ones_execute() */
	const char *name;                     /* "user_logged_in", as ones_signal_name(), or "cinema.title_added" */
	const json_t *data;                   /* what ones_emit() was given; NULL for the signals above. Borrowed */
};

/*
 * When a receiver is called, and how often.
 *
 * In the transaction: when it happens, and before anybody knows whether it will be so. What it does with SQL is
 * committed or rolled back with all the rest. After a conflict with another transaction (a deadlock, or a connection
 * that was lost) everything is done again from its beginning, up to five times in all, and so is the receiver called
 * again; a login whose COMMIT was not answered is done again only when it has been read back that it was not committed.
 * A receiver therefore has no effects outside of the database: no mail, no file, no counter in memory, no call of
 * another service. While it runs the account is locked: other logins of the account wait for it.
 *
 * After the commit: once for what was committed, in the order in which it happened, and not at all for what was rolled
 * back. It may be that it is not called although there was a commit: when the process ends in between, or when the
 * answer to COMMIT is lost (for a login, only when its outcome cannot be read back either). What must not be lost is a
 * row that a receiver in the transaction writes, and a job carries out.
 */
enum ones_phase {
	ONES_IN_TRANSACTION, /* returning false rolls everything back: 500, no cookie, no change; see ones_refuse() */
	ONES_AFTER_COMMIT,   /* returning false is logged and changes nothing */
};

struct ones_receiver {
	const char *name; /* connecting the same name to the same signal again replaces the former receiver; store_key,
	                     clear_key, record_event, log_event and count_event are the daemon's own, and refused */
	int order;        /* lower first; equal: in the order of connecting. The daemon's own are at 0 */
	enum ones_phase phase;
	bool (*call)(const struct ones_event *event, void *context);
	void *context; /* given back to call, not looked at */
};

/*
 * Connect a receiver to a signal. `receiver` is copied, its strings and context are not. A name of the daemon's own
 * receivers is an error at start.
 */
void ones_connect(struct ones_app *app, enum ones_signal signal, const struct ones_receiver *receiver);

/*
 * Disconnect a receiver. Returns false when none of that name is connected, and for the daemon's own, which is an
 * error at start.
 */
bool ones_disconnect(struct ones_app *app, enum ones_signal signal, const char *name);

/*
 * The names of browser and system in a User-Agent, such as event->user_agent, as people know them: "Firefox", "Linux";
 * "" for one that is not known, and for NULL. Constant strings.
 */
const char *ones_browser_name(const char *user_agent);
const char *ones_system_name(const char *user_agent);

/* "user_logged_in" and so on: a constant string. NULL for ONES_SIGNAL_OWN. */
const char *ones_signal_name(enum ones_signal signal);

/*
 * For a receiver in the transaction, which then returns false (what it returns is not looked at any more): everything
 * is rolled back, and what was to be done is answered with ONES_RESULT_REFUSED, which is no fault. At a login, a change
 * of password, a logout and the end of a session the daemon's own routes answer with 403 `refused`: programs get the
 * sentence as "detail" and the code as "reason", people see the sentence, in their language where it is one of
 * [sentences] (see ones_sentence()), at a login on the sign-in page. A refused
 * login is no failed attempt, displaces no session, sets no cookie, and is a line login_refused in the log, with the
 * code as its reason. After a conflict the receiver is called again, and what counts is what it says then.
 *
 * `code` is [a-z][a-z0-9_]{0,30}; `sentence` is text of 1 to 500 bytes without control characters; both are copied.
 * Anything else is a mistake, a line signal_fault in the log: all is rolled back, and the answer is a 500. So it is at
 * a failed login, and when a request finds its session displaced, for there nothing was asked for. After the commit it
 * is logged, too, and without any effect.
 */
void ones_refuse(const struct ones_event *event, const char *code, const char *sentence);

/*
 * Declare a signal of the module whose setup runs: "title_added" of the module cinema is "cinema.title_added". A name
 * is [a-z][a-z0-9_]{0,30}. One that is none, or that there is already, refuses the module.
 */
void ones_signal(struct ones_app *app, const char *name);

/*
 * Connect a receiver to a signal that a module declares, this one or another, "cinema.title_added"; during setup, and
 * in whatever order the modules stand in server.modules. When all of them have been set up and none has declared the
 * signal the module is refused. Otherwise as ones_connect().
 */
void ones_connect_to(struct ones_app *app, const char *signal, const struct ones_receiver *receiver);

/*
 * Emit a signal that a module has declared, in a transaction: in the body of ones_transact(), in a receiver in the
 * transaction (event->db), or in a job's transaction. `data` is any JSON value; takes over the reference, also of NULL
 * (out of memory), which is a mistake.
 *
 * The signal's receivers in the transaction are called at once, lowest order first. Those after the commit are called
 * when it is known that the transaction was committed, before ones_transact() returns: once each time that it was
 * emitted, however often the body has run, and not when the outcome is not known (see ones_transact()). Before
 * them NOTIFY onesession tells programs of it, as {"at", "name", "data", "is_cut"}; data of more than 7000 bytes are
 * not sent: null, and "is_cut" is true. Of several that are alike in one transaction PostgreSQL sends one.
 *
 * ONES_RESULT_OK. Anything else rolls the transaction back, and the body returns it; if it does not, it is rolled back
 * all the same. ONES_RESULT_REFUSED: a receiver has called ones_refuse(). ONES_RESULT_FAILED: one has failed; or it is
 * a mistake, which is a line signal_fault in the log: outside of a transaction, a signal that no module has declared,
 * receivers that emit more than 8 deep. ONES_RESULT_CONFLICT and ONES_RESULT_UNAVAILABLE as of ones_sql().
 */
enum ones_result ones_emit(struct ones_db *db, const char *signal, json_t *data);

/*
 * Run one SQL statement that ones_sql() would run, in the event's transaction, with $1... taken from `values` as text
 * (NULL: SQL NULL). Returns false when it failed: the transaction is then beyond use, and the receiver must return
 * false.
 */
bool ones_execute(struct ones_transaction *transaction, const char *sql, size_t count, const char *const values[]);

/* ---- What is to be done again and again: ones_job(3) ------------------------------------------------------------ */

/*
 * A job runs every so often in a process of its own, with its own connection to the database, and not in a worker: no
 * request waits for it. On a host at most 4 of modules run at the same time; the others wait for their turn.
 *
 * It runs once over all hosts that have the same database, on whichever is the first: the table `jobs` says when it is
 * due, by the database's clock, and which host has it. It never runs twice at once: the next run waits for the end of
 * the one before. A host that is lost while it runs a job keeps it from the others for .timeout_ms and 15 seconds; one
 * that stands still for longer than that, such as a virtual machine that was paused, goes on with it when another has
 * begun: what must not be done twice even then is done in a transaction that looks for what it would leave.
 *
 * A run that returns anything but ONES_RESULT_OK, crashes, or takes longer than it may, has failed. It is then tried
 * again: after .every_ms at first, after each further failure in a row after twice as long, up to an hour (or
 * .every_ms, where that is longer). After one that went well the pause is .every_ms again. Each failure is logged as
 * job_failed.
 *
 * setup, and start, have run in the process from which runs are forked: what start has opened is there, but it is
 * shared, so that a connection is better opened by the run itself. What a run leaves in memory is gone after it. Rows
 * and what else has no owner there belong to the run.
 *
 * System calls are restricted as in a worker; but neither by `onesessiond --run-job` nor in ones_test_run_job(). No
 * program is started, and no file is removed or renamed, or gets another mode or a folder: these fail with EPERM. Files
 * that ones_keep_upload() has kept are removed by ones_remove_stored(). Files may be read, and written where the user
 * may.
 */
struct ones_job {
	const char *name;   /* as modules are called: [a-z][a-z0-9_]{0,30}; in the log, in /status, in `jobs` as
	                       MODULE.NAME */
	int64_t every_ms;   /* from the beginning of a run to that of the next; 1000 (a second) or more */
	int64_t timeout_ms; /* it is ended then: from 100 up to 24 hours; 0: a minute. The statements of the run may
	                       take as long, whatever database.statement_timeout is */
	bool on_every_host; /* not once over all hosts, but on each of them; never twice at once on the same */
	/*
	 * Do it. With .on_every_host it runs also while the database is away, which ones_sql() says then; any other job
	 * waits for the database.
	 */
	enum ones_result (*run)(struct ones_db *db, void *context);
	void *context; /* given back to run, not looked at */
};

/*
 * Declare a job of the module, in its setup. `job` is copied, its strings and context are not. What is wrong with it
 * refuses the module. It runs for the first time .every_ms after the daemon has known it first, or a minute, if that is
 * less. Any of them is run at once, and once, by `onesessiond --run-job MODULE.NAME`.
 */
void ones_job(struct ones_app *app, const struct ones_job *job);

/* ---- Calling HTTP services: ones_call(3) ------------------------------------------------------------------------ */

/*
 * Declare, in setup, an HTTP service that the module calls. Its address is the setting `key` of the module's section:
 * http://HOST[:PORT][/PATH], or https, without user, query and fragment. When it is missing or wrong the module is
 * refused, with a sentence that names section and key. `name` is as modules are called, and is not copied. Host names
 * are looked up where the daemon runs: workers of a site with services may have a thread for that.
 */
void ones_service(struct ones_app *app, const char *name, const char *key);

struct ones_call {
	const char *service; /* as ones_service() has declared it */
	const char *method;  /* GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS; NULL: GET, or POST with a body */
	const char *path; /* behind the service's address: begins with a slash; with a query, if there is one. What is
	                     neither a letter, a digit nor punctuation of a URL is escaped (%20) already; no segment is
	                     . or .., also between slashes and backslashes that are escaped (%2F, %5C) */
	const char *const *headers; /* "Name: value", ended by NULL, up to 64; NULL: none. Host, Content-Type,
	                               Content-Length and others of the connection are not among them */
	const char *content_type;   /* of the body; NULL: none */
	const void *body;           /* `size` bytes; NULL: none */
	size_t size;
	int64_t timeout_ms; /* from the look-up of the name to the last byte; 0: 5000. Never longer than what is left of
	                       the time of the request, or of the job, less a tenth */
	size_t max_answer;  /* bytes of the body of the answer, up to 64 MiB; 0: 1 MiB. HEAD has none to be counted */
};

/* It belongs to the request, or to the job's run. */
struct ones_called {
	int status;               /* 200, 404, 302... */
	const char *content_type; /* printable ASCII; "" without one, and for one that has other characters */
	const char *body;         /* `size` bytes, and a NUL behind them */
	size_t size;
};

/*
 * Call a service, and wait for its answer: from a handler with its `req`, from a job with NULL. ONES_RESULT_OK: an
 * answer has come, whatever its status; redirects are not followed. ONES_RESULT_UNAVAILABLE: none has come in time, the
 * connection was refused or broke off, its certificate is not one for that name by an authority that this machine
 * trusts, or the answer was too large; that is logged as service_failed, with what was wrong. A request may have
 * arrived even so. It is sent once; but GET, HEAD, PUT, DELETE and OPTIONS are sent once more when a connection that
 * was kept open turns out to be closed.
 *
 * ONES_RESULT_FAILED: a mistake, for which nothing is sent, and which is logged as service_refused. That is also a call
 * in a transaction (ones_transact()), which it would hold up, from a receiver, and from a GET of a quick route.
 *
 * A worker does nothing else meanwhile. Those that are kept for guard and sign-in (server.guard_workers) run no
 * module's handlers, so that a service which does not answer holds up handlers of modules alone. The proxy of the
 * environment is not used. HTTP/1.1 is spoken.
 */
enum ones_result ones_call(struct ones_request *req, const struct ones_call *call, struct ones_called *called);

/* ---- Mail: ones_mail(3) ----------------------------------------------------------------------------------------- */

/*
 * A mail is a row that is written in the transaction which causes it, and sent by a job of the daemon's: once over all
 * hosts, soon after the commit, again after a pause that grows when the server has a reason to refuse it for now, and
 * for no longer than two days. What was rolled back is not sent. Operators see it with "onesessionctl mail list".
 *
 * Its text is the module's page mail/NAME.txt, and mail/NAME.html where there is one, filled in as pages are, or else
 * the daemon's of that name; its subject is the text mail.NAME_subject. Besides its values there are {{site_name}},
 * {{site_url}}, {{username}} of the account, {{recipient}}, {{link}} and {{code}}, {{lifetime}} as ones_wait_json() has
 * it, with {{hours}} or {{days}} in place of {{minutes}} where it is a whole number of these. In a .txt nothing is
 * escaped.
 *
 * A mail with a purpose has a link, a code of eight digits, or both: what lets whoever reads the mail of that address
 * do one thing once. They are made when the mail is sent, and live from then; only their SHA-256 is stored. Sending a
 * newer one of the same purpose and account (or address, without an account) makes the older ones void. Mail scanners
 * open links, and some send the forms that they find: GET changes nothing, and a form wants something that only the
 * person does.
 */
struct ones_mail {
	const char *kind; /* NAME: [a-z][a-z0-9_]{0,30} */
	/*
	 * Whom it is for. To an account goes what has its id, and what has a login: name or address as somebody typed
	 * it, of which it is found out only when the mail is sent whose it is, so that whoever asked learns nothing.
	 * Both get it at the account's verified address, and who has none gets none; by a login, neither does who is
	 * disabled. `to` is an address that is not known to be the account's.
	 */
	int64_t user_id;   /* 0: no account, or that of the login */
	const char *login; /* NULL: not by what was typed */
	const char *to;    /* NULL: the account's own address */
	/*
	 * With `to`, which somebody says to be theirs: what is sent in place of `kind`, without link and code, if at
	 * the moment of sending the address is another account's than that of user_id, verified or not. {{username}} is
	 * that account's then. So only who reads its mail learns that. NULL: it makes no difference.
	 */
	const char *kind_if_taken;
	json_t *values; /* an object, at most 64 KiB of JSON; NULL: none. The reference is taken over. No secrets: they
	                   are stored until the mail is sent, and with what its link stands for */
	const char *language; /* a tag, as ones_language() gives it; NULL: the first language */
	const char *purpose;  /* what link and code are for, named as kinds are; NULL: it has none */
	int64_t lifetime_ms;  /* how long they live, from a second to 366 days */
	const char *path;     /* where the link leads, below the module's prefix: "/reset" becomes
	                         https://www.example.org/session/reset?token=...; NULL: no link */
	bool is_notice;       /* it tells of something that has happened, and is sent although a newer mail of its
	                         purpose was; what is none is dropped then */
};

/* Does this site send mail (mail.server)? Pages do not offer what it takes mail for if it does not. */
bool ones_can_mail(const struct ones_app *app);

/*
 * Write a mail: in the body of ones_transact(), in a receiver in the transaction (event->db), in a job, or by itself.
 * An address gets mail.per_recipient of a kind, "5/h": what is more is not sent, and makes nothing void.
 *
 * ONES_RESULT_OK; also where the site sends no mail, and nothing is written then. ONES_RESULT_VIOLATION: `to` is no
 * address. ONES_RESULT_FAILED: a mistake, which is logged as mail_fault: there is no such page, or a member is not as
 * it has to be. ONES_RESULT_CONFLICT and ONES_RESULT_UNAVAILABLE as of ones_sql().
 */
enum ones_result ones_mail(struct ones_db *db, const struct ones_mail *mail);

/* What a person has of a mail: the token of its link, or its code, and then name or address. */
struct ones_mail_key {
	const char *token; /* NULL: by the code */
	const char *login;
	const char *code; /* as typed: spaces and hyphens do not count */
};

/* What a link or code stands for. It lasts as long as the request. */
struct ones_mail_token {
	int64_t user_id;       /* the account; 0: the mail concerned none */
	const char *recipient; /* the address that it was sent to */
	json_t *values;        /* of the mail. Borrowed */
	ones_time sent_at, expires_at;
	const char *purpose; /* of the mail: which one of those that it was looked for by */
};

/*
 * Find what the key stands for, outside of a transaction, among mails of a purpose, or of one of several that are
 * separated by spaces. With a token nothing is changed: for GET. A wrong code counts at once, for each code that it was
 * tried at: three make a code void, but not the link, and an account has ten in a day; it takes the same time whether
 * there is such an account or not.
 *
 * ONES_RESULT_OK with *found, which is still to be used up. ONES_RESULT_INVALID: it is wrong, used, void or outdated;
 * which of these is not told. ONES_RESULT_UNAVAILABLE; ONES_RESULT_FAILED, a mistake that is logged as mail_fault.
 */
enum ones_result ones_find_mail_token(struct ones_db *db, const char *purposes, const struct ones_mail_key *key,
                                      const struct ones_mail_token **found);

/*
 * Use up what was found, with all others of its purpose and account, in the transaction of what it is used for.
 * ONES_RESULT_OK. ONES_RESULT_INVALID: somebody else was faster, or it has run out; the body returns it then. Others as
 * above, and ONES_RESULT_CONFLICT.
 */
enum ones_result ones_use_mail_token(struct ones_db *db, const struct ones_mail_token *found);

/*
 * Make those of an account void: of one purpose, or of all for NULL. Its mails that have one and were not sent yet are
 * dropped. Results as of ones_sql().
 */
enum ones_result ones_drop_mail_tokens(struct ones_db *db, int64_t user_id, const char *purpose);

/* ---- Tests of a module's own: ones_test(3) ---------------------------------------------------------------------- */

/*
 * A module's own tests are a program that the module's objects are linked into, with what `pkg-config --libs
 * onesession-test` says. Requests go the way that they go in a worker: routing, checks, session, body, handler, pages,
 * SQL, one after the other, in this process and without a web server.
 *
 *	int main(void)
 *	{
 *		struct ones_test *test = ones_test_new(&ones_module, getenv("ONESESSION_TEST_CONNINFO"));
 *
 *		assert(test != NULL);
 *		assert(ones_test_ask(test, "GET", "/notes/", NULL, NULL, 0) == 401);
 *		ones_test_sign_in(test, "ada", false);
 *		assert(ones_test_ask(test, "GET", "/notes/", NULL, NULL, 0) == 200);
 *		assert(strstr(ones_test_body(test), "No notes yet") != NULL);
 *		ones_test_free(test);
 *		return 0;
 *	}
 *
 * onesession-try(1) --test runs such a program with an empty database of its own. What the daemon would log stands on
 * standard error, warnings and errors only.
 */
struct ones_test;

/*
 * A browser, and behind it the daemon with this module; setup and start run here. In the database that `conninfo`
 * (libpq's connection string) names, the daemon's tables are made, and the module's by its migrations, where they are
 * not there yet. It is one for tests: rows stay when the test is over, and accounts that sign in get a password of the
 * kit's. NULL: there is no database, and each call that wants one is ONES_RESULT_UNAVAILABLE. Folders of the module are
 * looked for beside the object that it is linked into.
 *
 * NULL when that fails, with the reason on standard error.
 */
struct ones_test *ones_test_new(const struct ones_module *module, const char *conninfo);

/*
 * The same with settings, "SECTION.KEY=VALUE", the last one followed by NULL: the module's own ("notes.limit=3") and
 * the daemon's ("session.on_limit=refuse", "log.level=info" for what ones_log() says).
 */
struct ones_test *ones_test_new_with(const struct ones_module *module, const char *conninfo,
                                     const char *const settings[]);

/*
 * Sign the browser in, by the daemon's route /login: the module's receivers run. The account is made when there is none
 * of that name; it becomes an admin's, or none. NULL signs out. Without a database nothing runs, and the handlers get a
 * session all the same. What came of it is told by ones_test_status(): of a login that a receiver refused, for one.
 */
void ones_test_sign_in(struct ones_test *test, const char *username, bool is_admin);

/*
 * Send a request, and return the status of its answer; 0 when there is none, which is said on standard error. `target`
 * is a path with or without a query string, escaped as in an address: "/notes/7?all=yes". `content_type` NULL: there is
 * no body. The browser keeps cookies and sends them; it says no more of itself (Accept, Origin) than
 * ones_test_send_header() has told it.
 */
int ones_test_ask(struct ones_test *test, const char *method, const char *target, const char *content_type,
                  const void *body, size_t size);

/* A part of a form that has files: a file, or a plain field. */
struct ones_test_part {
	const char *name;         /* of the form's field */
	const char *filename;     /* NULL: a plain field */
	const char *content_type; /* NULL: none is said */
	const void *data;
	size_t size;
};

/* POST such a form (multipart/form-data), as ones_test_ask() does. */
int ones_test_upload(struct ones_test *test, const char *target, const struct ones_test_part parts[], size_t count);

/* Send this header field with each request from now on; NULL: no longer. */
void ones_test_send_header(struct ones_test *test, const char *name, const char *value);

/* The status of the last answer, of ones_test_ask() or ones_test_sign_in(); 0: there was none. */
int ones_test_status(const struct ones_test *test);

/* The last answer's body, with a NUL behind it, and its size; "" without one. Gone with the next request. */
const char *ones_test_body(const struct ones_test *test);
size_t ones_test_body_size(const struct ones_test *test);

/* The value of the last answer's first header field of that name, in any case; NULL: none. Gone with the next one. */
const char *ones_test_header(const struct ones_test *test, const char *name);

/*
 * For ones_sql(), ones_transact() and ones_emit() of the test itself: to put rows there, and to look at what the module
 * has left. Rows that are read last until ones_test_free(). Never NULL.
 */
struct ones_db *ones_test_db(struct ones_test *test);

/*
 * Run a job of the module once, by the name that ones_job() was given, in this process: it need not be due, and the
 * table `jobs` is left alone. Returns what its function has returned; ONES_RESULT_FAILED also for a job that there is
 * not, which is said on standard error.
 */
enum ones_result ones_test_run_job(struct ones_test *test, const char *name);

/* The module's stop runs, and all that the test has is freed. NULL is allowed. */
void ones_test_free(struct ones_test *test);

#ifdef __cplusplus
}
#endif

#endif
