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
 */
#ifndef ONESESSION_H
#define ONESESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ONES_PRINTF(at, first) __attribute__((__format__(__printf__, at, first)))
#else
#define ONES_PRINTF(at, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct ones_app;
struct ones_request;

/* ---- A module ------------------------------------------------------------------------------------------------ */

/* What this header promises to those that were compiled with it. A daemon takes no module that was built for another.
 */
#define ONES_ABI 1

/*
 * A module: one exported object, in a shared object of its own. The daemon reads it and keeps pointers into it; nothing
 * of it may change.
 */
struct ones_module {
	uint32_t abi, size;     /* filled in by ONES_MODULE() */
	const char *name;       /* [a-z][a-z0-9_]{0,30}: also of its section of the configuration, and of its path */
	const char *version;    /* for people, up to 31 bytes; NULL: none */
	const char *pages;      /* a folder beside the shared object, with pages and files; NULL: none */
	const char *migrations; /* likewise, with the SQL of its tables; NULL: none */
	/*
	 * Declare everything: routes, receivers. It runs in each worker, and in a process that only checks the module,
	 * so it has no other effect. Returning false refuses the module; ones_log() says why. NULL: there is nothing.
	 */
	bool (*setup)(struct ones_app *app);
	/*
	 * Runs in each worker after setup, before system calls are restricted: the place to open what handlers use.
	 * Returning false ends the worker, which is replaced later and later. NULL: there is nothing.
	 */
	bool (*start)(struct ones_app *app);
	/* Runs when a worker ends as it should, and not when it is killed or crashes. NULL: there is nothing. */
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
 * for as long as the process. For setup, start, stop, and for the module's handlers and receivers, where `app` is the
 * one that setup was given.
 */
const char *ones_setting(const struct ones_app *app, const char *key);

/*
 * A line in the log, of level info: `what` is the event's name, of small letters, digits and underscores
 * ("plan_changed"); the message, as printf(3) makes it, is the field `message`, cut after 1024 bytes. The fields
 * `request_id` and `module` name the request under way in this process and the module. Secrets do not belong there.
 */
void ones_log(const char *what, const char *format, ...) ONES_PRINTF(2, 3);

/* A moment: microseconds since 1970-01-01 00:00 UTC, by the database's clock. 0 means "not known". */
typedef int64_t ones_time;

/* ---- Who is signed in --------------------------------------------------------------------------------------- */

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

/* ---- Signing in and out ------------------------------------------------------------------------------------- */

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
	ONES_RESULT_UNACCEPTABLE, /* the new password is too short or too long */
	ONES_RESULT_BUSY,         /* too many passwords wait for their check; nothing was counted */
	ONES_RESULT_UNAVAILABLE,  /* the database is away, or the outcome could not be learnt in time */
	ONES_RESULT_FAILED,       /* a receiver in the transaction refused: nothing was changed */
	ONES_RESULT_PENDING,      /* the password is being checked: return, the handler is run again for the result */
	/* Of ones_sql() and ones_transact(): */
	ONES_RESULT_DUPLICATE, /* there is such a row already (a unique constraint, 23505) */
	ONES_RESULT_VIOLATION, /* another constraint stands against it: CHECK, NOT NULL, a foreign key, an exclusion
	                          (23xxx); or a value does not fit its type (22xxx), such as a number that is too
	                          large, a text that is too long or no UUID */
	ONES_RESULT_CONFLICT, /* another transaction came in the way, five times in ones_transact(): nothing was done */
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
	const char *username; /* with `password`, as it was typed: see ones_plain_name(); NULL with a ticket */
	const char *password;
	const char *ticket;  /* of an earlier ones_login() that answered ONES_RESULT_LIMIT; NULL: name and password */
	const char *form;    /* the ones_form_token() that the form was given; NULL: none */
	bool checks_cookies; /* the form came with a cookie: see ones_offer_cookie() */
	bool take_over;      /* the person has agreed to end the sessions elsewhere: for session.on_limit = ask */
};

struct ones_login {
	struct ones_session session;  /* after ONES_RESULT_OK, as the next */
	struct ones_places displaced; /* the sessions that this login ended elsewhere */
	struct ones_places
		conflicting;   /* after ONES_RESULT_LIMIT and ONES_RESULT_COOLDOWN: those that it would have to end */
	const char *ticket;    /* after ONES_RESULT_LIMIT: lets the same login take over; NULL: it may not */
	int64_t retry_after_s; /* after ONES_RESULT_THROTTLED and ONES_RESULT_COOLDOWN */
};

/*
 * Check the password and, when it is right, make this request's browser the account's newest session: see "The
 * rule" in daemon/session/rule.c. On ONES_RESULT_OK the answer carries the new cookie, *login is filled in, and
 * ones_session() is the new session. On anything else nothing has changed and no cookie is set.
 * The route must have .hashes = true: the password is checked by another process while this one serves other requests.
 * The handler is run twice for that: the first time the call returns ONES_RESULT_PENDING, and the answer given then is
 * dropped; the second time, from its beginning, the call returns the result.
 */
enum ones_result ones_login(struct ones_request *req, const struct ones_credentials *credentials,
                            struct ones_login *login);

/*
 * A name as accounts have it: what was typed or pasted without space and invisible characters before and after it.
 * NULL when out of memory.
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
 * succeeds as well. ONES_RESULT_OK, ONES_RESULT_UNAVAILABLE or ONES_RESULT_FAILED. On anything but
 * ONES_RESULT_OK the cookie stays, so that it can be tried again.
 */
enum ones_result ones_logout(struct ones_request *req);

/*
 * Give the account of ones_session() another password, of 8 characters to 1024 bytes. Every other session of it ends;
 * this one gets a new key. *changed is as after a login, and so is what .hashes = true means.
 */
enum ones_result ones_change_password(struct ones_request *req, const char *current_password, const char *new_password,
                                      struct ones_login *changed);

/* ---- The account's sessions --------------------------------------------------------------------------------- */

/*
 * The live sessions of this request's account, the newest login first. ONES_RESULT_OK, ONES_RESULT_UNAVAILABLE or
 * ONES_RESULT_FAILED.
 */
enum ones_result ones_sessions(struct ones_request *req, struct ones_places *places);

/*
 * End one of these by its id; *found is whether it was one. Ending this request's own is signing out.
 * ONES_RESULT_OK, ONES_RESULT_UNAVAILABLE or ONES_RESULT_FAILED.
 */
enum ones_result ones_end_session(struct ones_request *req, const char *id, bool *found);

/* A session that was, and how it ended. */
struct ones_past {
	struct ones_place place;
	struct ones_ending ending;
};

/* The latest `max` sessions of this request's account that have ended, the last one first. Results as above. */
enum ones_result ones_past_sessions(struct ones_request *req, size_t max, const struct ones_past **past, size_t *count);

/* ---- Data that is kept with a session ----------------------------------------------------------------------- */

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

/* ---- SQL ---------------------------------------------------------------------------------------------------- */

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

#define ONES_NULL              ones_number_value(ONES_VALUE_NULL, 0)
#define ONES_INT(number)       ones_number_value(ONES_VALUE_INT, (number))
#define ONES_BOOL(truth)       ones_number_value(ONES_VALUE_BOOL, (truth) ? 1 : 0)
#define ONES_TIME(when)        ones_number_value(ONES_VALUE_TIME, (when)) /* an ones_time; 0 is SQL NULL */
#define ONES_TEXT(text)        ones_text_value(text) /* NULL is SQL NULL. Also for uuid, jsonb... */
#define ONES_BYTES(data, size) ones_data_value(ONES_VALUE_BYTES, (data), (size)) /* bytea; NULL is SQL NULL */

/* Both arguments that ones_sql() takes for values, of which there is at least one: ONES_VALUES(ONES_INT(id)). */
#define ONES_VALUES(...)                                                                                               \
	(const struct ones_value[]){__VA_ARGS__},                                                                      \
		sizeof((const struct ones_value[]){__VA_ARGS__}) / sizeof(struct ones_value)

/*
 * Run one statement: SELECT, INSERT, UPDATE, DELETE, MERGE, WITH, VALUES, TABLE, LOCK or NOTIFY. `rows`, unless it is
 * NULL, gets what it returns (RETURNING as well), all of it in memory: large tables want a LIMIT. They belong to the
 * request, event or job. Without values: NULL, 0.
 *
 *	ones_sql(db, &rows, "SELECT title, price FROM cinema.titles WHERE id = $1", ONES_VALUES(ONES_INT(id)))
 *
 * Values never become part of the SQL: the server gets them apart, and takes each for what the place of its $n asks
 * for, so that ONES_INT() serves smallint, integer, bigint and numeric alike. Where that says nothing, as in SELECT $1,
 * it is a text: $1::bigint. A list is a text: id = ANY($1), ONES_TEXT("{1,2}").
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

/* timestamptz; 0 for SQL NULL, INT64_MAX and INT64_MIN for infinity and -infinity. */
ones_time ones_time_at(const struct ones_rows *rows, size_t row, const char *column);

/* bytea; *size is set. NULL for SQL NULL, and not NULL for an empty one. */
const void *ones_bytes(const struct ones_rows *rows, size_t row, const char *column, size_t *size);

bool ones_is_null(const struct ones_rows *rows, size_t row, const char *column);

/*
 * All rows as an array of objects, with a member for each column: integers and double precision as numbers, boolean,
 * json and jsonb as what they are, timestamptz as ones_time_json(), all others, numeric among them, as text. A new
 * reference. NULL when out of memory; also, with the consequences above, when two columns have one name.
 */
json_t *ones_rows_json(const struct ones_rows *rows);

/*
 * Run `body` in a transaction (READ COMMITTED), and commit when it returns ONES_RESULT_OK; anything else rolls back,
 * and is returned. After a statement that failed no other one runs, so that a body returns what that one gave.
 *
 * After a conflict with another transaction (a deadlock, or a connection that was lost before COMMIT) `body` runs
 * again, up to five times in all, from its beginning: it has no other effects, and sets all that it leaves in
 * `context`.
 *
 * ONES_RESULT_UNAVAILABLE after COMMIT was sent means that nobody knows whether it was carried out; the log has
 * commit_unknown. Who must know looks for what the transaction would have left, such as a row under an id that was made
 * before; to run it again may do it twice.
 *
 * Transactions do not nest, in a receiver neither: that is refused, ONES_RESULT_FAILED, and so are ones_login(),
 * ones_logout(), ones_change_password() and ones_end_session() in a body, which have transactions of their own.
 */
enum ones_result ones_transact(struct ones_db *db, enum ones_result (*body)(struct ones_db *db, void *context),
                               void *context);

/* ---- Reading the request ------------------------------------------------------------------------------------ */

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
 * it puts header fields called Variable-NAME into the request's environment. Such requests go to the route /auth.
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
 * The first value of a field of the body, be it a form (application/x-www-form-urlencoded) or a JSON object's
 * member that is a string; NULL when it is not there. The body was read and checked before the handler ran.
 */
const char *ones_field(const struct ones_request *req, const char *name);

/* The body's JSON value, or NULL when the body is not JSON. Borrowed: do not decref. */
const json_t *ones_json(const struct ones_request *req);

/*
 * The body's bytes, *size of them, as they came: for routes with ONES_BODY_RAW in .bodies, whatever its type is. Not
 * ended by a NUL. NULL, and 0, when there is none, and for other routes.
 */
const void *ones_body(const struct ones_request *req, size_t *size);

/*
 * A FastCGI parameter such as "REMOTE_ADDR" or "SERVER_NAME" (RFC 3875, 4.1), as the web server wrote it; NULL when it
 * is not there. HTTP_COOKIE is none of them: see ones_cookie().
 */
const char *ones_param(const struct ones_request *req, const char *name);

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
 * "_device" or "_check" behind it, with and without a prefix; with the default name also "session" and
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

/* The address of one of the daemon's own routes: ones_url(req, "/login") is "/session/login". */
const char *ones_url(struct ones_request *req, const char *path);

/*
 * Where to go after signing in: `wanted` when it leads nowhere but into this site, else login.default_next. Never
 * NULL. The measure is Django's url_has_allowed_host_and_scheme: no scheme, no host, no backslash, no control
 * character, in no disguise.
 */
const char *ones_next(struct ones_request *req, const char *wanted);

/* The address of the page that the request came from (Referer: RFC 9110, 10.1.3); NULL when it is none of this site's.
 */
const char *ones_page_before(const struct ones_request *req);

/*
 * The sign-in page that leads to `wanted` afterwards: "/session/login?next=%2Fpage". `wanted` is as in ones_next();
 * it is left out when it leads elsewhere, is one of the daemon's own addresses, or is too long for a header field.
 * `lost`: what this request was to do has not been done; the page says so before signing in, and another after it.
 */
const char *ones_sign_in_url(struct ones_request *req, const char *wanted, bool lost);

/* ---- Answering: exactly one of these for each request ------------------------------------------------------- */

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

/* 303 See Other (RFC 9110, 15.4.4): `location` is a path of this site, as ones_url() and ones_next() give it. */
void ones_reply_redirect(struct ones_request *req, const char *location);

/*
 * One of the module's own pages, or else of those in handlers/pages, filled in with `values`, an object; takes over the
 * reference, also of NULL (out of memory), which becomes a 500. {{name}} is the value, escaped for HTML;
 * {{#name}}...{{/name}} is there for true, for each element of an array, and once for an object or a text that is not
 * empty, whose members are then looked at first; {{^name}}...{{/name}} is there when the other would not be; {{>file}}
 * is another of the pages, of the module's own first. Always there are {{prefix}} of the daemon's routes,
 * {{module_prefix}}, {{site_name}},
 * {{name_label}}, {{links}} (each with {{label}} and {{address}}), {{has_links}}, and {{displaces}} where signing in
 * can end a session elsewhere.
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
 * One of the module's own files, or of those in handlers/pages, as it is, for instance a style sheet; browsers may keep
 * it for an hour.
 */
void ones_reply_file(struct ones_request *req, const char *file, const char *content_type);

/*
 * An error: for programs problem+json (RFC 9457) with `code`, for people the page of ones_error_page(). `detail` is a
 * sentence for a human reader. 503 also carries Retry-After.
 */
void ones_reply_problem(struct ones_request *req, int status, const char *code, const char *detail);

/* The same with further members for programs (RFC 9457, 3.2); takes over the reference, also of NULL. */
void ones_reply_problem_with(struct ones_request *req, int status, const char *code, const char *detail,
                             json_t *members);

/* 401 with the code of ones_ending(), and for programs "ended_at" and "by". */
void ones_reply_unauthenticated(struct ones_request *req);

/*
 * What went wrong with one of the functions above: 401, 403, 409, 429 with Retry-After, 503 or 500, with the code that
 * programs know. `login` is what a login or change of password has filled in, else NULL.
 */
void ones_reply_failure(struct ones_request *req, enum ones_result result, const struct ones_login *login);

/* {"id","username","is_admin"}: a new reference, NULL when out of memory. */
json_t *ones_user_json(const struct ones_user *user);

/* {"id","created_at","last_seen_at","expires_at"}: a new reference, NULL when out of memory. */
json_t *ones_session_json(const struct ones_session *session);

/* RFC 3339 in UTC ("2026-01-31T10:32:05Z"), or JSON null for 0 and for infinity: a new reference, NULL when out of
 * memory. */
json_t *ones_time_json(ones_time when);

/* {"browser","os"} of what ended a session; {"id","created_at","last_seen_at","browser","os"} of a place. Likewise. */
json_t *ones_by_json(const struct ones_ending *ending);
json_t *ones_place_json(const struct ones_place *place);

/* For pages: {"text","iso"} of a moment ("10:32 UTC" when it is today), JSON null when it is not known. */
json_t *ones_moment_json(ones_time when);

/* For pages: {"minutes","one"} of a time to wait, rounded up; NULL also for 0. */
json_t *ones_wait_json(int64_t wait_s);

/* True while the database answers; costs one round trip. */
bool ones_database_ready(struct ones_request *req);

/* Other faults of the database, such as a sequence that is behind its table: a JSON array of sentences, as above. */
json_t *ones_database_warnings(struct ones_request *req);

/* ---- For operators ------------------------------------------------------------------------------------------ */

/* The pool's state, worker by worker, as JSON: a new reference, NULL when out of memory. */
json_t *ones_status_json(struct ones_request *req);

/*
 * Everything that is counted, as text in the format of OpenMetrics 1.0.0. Programs that do not ask for it by name in
 * Accept get the spelling of Prometheus' own text format, which differs in the names of counters only.
 */
void ones_reply_metrics(struct ones_request *req);

/* ---- Routes ------------------------------------------------------------------------------------------------- */

typedef void ones_handler(struct ones_request *req);

/* What has to be there before a route's handler runs. */
enum ones_needs {
	ONES_NEEDS_SESSION = 0,  /* the database, and the session is looked up: ones_session() */
	ONES_NEEDS_SESSION_DATA, /* and so is its data, which is read before the handler, and written after it */
	ONES_NEEDS_DATABASE,     /* for machines: no session is looked up */
	ONES_NEEDS_NOTHING,      /* neither: without a body it is answered even while every worker is busy */
};

/* Types of bodies that a route takes; flags. */
enum ones_bodies {
	ONES_BODY_FORM = 1,      /* application/x-www-form-urlencoded, or no type: see ones_field() */
	ONES_BODY_JSON = 2,      /* application/json, an object: see ones_json() and ones_field() */
	ONES_BODY_MULTIPART = 4, /* multipart/form-data: no route can take it as yet, and is refused at start */
	ONES_BODY_RAW = 8,       /* any other; and ones_body() has the bytes of all */
};

/*
 * A path is of segments between slashes: "/titles/:id/position". A segment that begins with a colon is a part, which
 * stands for anything but nothing; its name is of letters, digits and underscores, and ones_path() gives what stands
 * there. Where several routes fit, the one that has a literal at the first segment in which they differ: "/titles/new"
 * comes before "/titles/:id", whatever the order in which they were added. Then its methods are what counts: another
 * route is not looked for. Refused at start, with a sentence that names the routes: two that fit the same paths, a path
 * that no request can have, and contradictions.
 *
 * Each method has its handler; HEAD is served by .get. A method that has none, OPTIONS among them, is answered with
 * 405 and Allow. A request with a method other than GET, HEAD and OPTIONS that another site made the browser
 * send (Sec-Fetch-Site, Origin) is answered with 403 `cross_site`.
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
	int64_t max_body;    /* bytes, a larger one is answered with 413: up to 16 MiB; 0: server.max_body */
	int64_t timeout_ms; /* for the handler, from 100 up to ten minutes: past it the worker is ended, and the request
	                       with it; 0: server.request_timeout. Reading the body does not count, and neither does a
	                       password's check */
	bool signed_in;     /* without a live session it is answered with ones_reply_unauthenticated() */
	bool admins_only;   /* the same, and with 403 `forbidden` when the account is none of an admin's */
	bool cross_site;    /* requests that another site made are taken whatever their method is: must not change
	                       anything on the word of the session alone */
	bool passive;       /* a request is no activity of the person: last_seen_at stays (pollers) */
	bool operators_only; /* is not there for others than those at the addresses in server.operators */
	bool no_body;        /* a body is neither read nor waited for: sub-requests carry the client's CONTENT_LENGTH */
	bool hashes;         /* its handler checks a password, and may be run twice: see ones_login() */
	bool navigations;    /* a client that asks for something else than a page to be shown is a program here */
	bool quick;          /* GET waits for nothing, not even the database: it is answered before those that may */
};

/*
 * Which of the module's pages people get for a problem at its routes, in place of the daemon's, filled in with
 * {{title}}, {{status}}, {{code}},
 * {{detail}}, {{#is}} with a member of the code's name, {{request_id}} of a 5xx, and {{#retry}} as ones_wait_json().
 * The string is not copied.
 */
void ones_error_page(struct ones_app *app, const char *page);

/*
 * Add a route of the module whose setup runs. `route` is copied, its strings are not. What is wrong with it refuses the
 * module.
 */
void ones_route(struct ones_app *app, const struct ones_route *route);

/* ---- Signals: callback lists -------------------------------------------------------------------------------- */

enum ones_signal {
	ONES_SIGNAL_LOGGED_IN,
	ONES_SIGNAL_LOGGED_OUT, /* a session ended by its person, an operator, a new password or a disabled account */
	ONES_SIGNAL_LOGIN_FAILED,
	ONES_SIGNAL_SESSION_DISPLACED,
	ONES_SIGNAL_ACCOUNT_SHARED, /* sharing.takeovers displacements in sharing.window; once in each window */
	ONES_SIGNAL_PASSWORD_CHANGED,
	ONES_SIGNAL_COUNT,
};

struct ones_event {
	enum ones_signal signal;
	int64_t user_id;           /* 0 when no account has the name given at a failed login */
	const char *username;      /* "" likewise */
	const char *session_id;    /* the session that began or ended, or that did it; "" at a failed login */
	const char *by_session_id; /* the session that took its place or ended it, else "" */
	enum ones_reason reason;   /* why it ended; ONES_REASON_LIVE at a login */
	const char *ip;            /* of the request behind it; "" when there is none */
	const char *user_agent;
	const char *was_ip;                   /* of a session that ended: where it had signed in from; else "" */
	const char *was_user_agent;           /* likewise, the browser that it was in */
	int64_t takeovers;                    /* at account_shared: how many there were in the window, else 0 */
	struct ones_db *db;                   /* in the transaction: for ones_sql(); NULL after commit */
	struct ones_transaction *transaction; /* likewise, for ones_execute() */
};

enum ones_phase {
	ONES_IN_TRANSACTION, /* returning false rolls everything back: 500, no cookie, no change */
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

/* "user_logged_in" and so on: a constant string. */
const char *ones_signal_name(enum ones_signal signal);

/*
 * Run one SQL statement in the event's transaction, with $1... taken from `values` as text (NULL: SQL NULL).
 * Returns false when it failed: the transaction is then beyond use, and the receiver must return false.
 */
bool ones_execute(struct ones_transaction *transaction, const char *sql, size_t count, const char *const values[]);

#ifdef __cplusplus
}
#endif

#endif
