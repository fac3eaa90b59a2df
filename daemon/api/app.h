/*
 * Where HTTP and sessions meet: what is behind onesession.h. A request's way: app_preview() tells, before it is taken
 * in, whether its session is to be looked up; the caller does so for as many as are there at that moment. app_open()
 * takes it in (is it a request, whose route, cross-site check, body), app_run() runs the hook and the handler, and
 * app_close() answers. A handler that needs a password looked at leaves app_job(); with its answer app_run() runs it
 * again.
 */
#ifndef API_APP_H
#define API_APP_H

#include "base/links.h"
#include "base/networks.h"
#include "base/scoreboard.h"
#include "base/settings.h"
#include "http/fcgi.h"
#include "http/page.h"
#include "http/request.h"
#include "http/response.h"
#include "onesession.h"
#include "session/password_job.h"
#include "session/rule.h"

#include <stdbool.h>
#include <talloc.h>

/* Seconds that clients are asked to wait before they try again. */
#define RETRY_AFTER_S 2

struct ones_app {
	const struct settings *settings;
	const struct pages *pages;
	struct scoreboard *board;
	struct networks *operators;
	const struct links *links; /* login.links */
	struct signals *signals;
	struct ones_route routes[COUNTERS_ROUTES_MAX];
	size_t route_count;
	const char *setup_problem; /* what was wrong with a call during setup; NULL: nothing */
	struct rule rule;          /* its db is this process's own; NULL in one that has none */
	uint32_t process_id_part;
	uint32_t request_count;
	size_t touch_count; /* sessions that were seen, for app_start_touch() */
	struct session_key touches[RULE_KEYS_MAX];
};

/* When a request came to each stage, clock_monotonic_us(), and how long some of them took. */
struct app_times {
	int64_t connected;   /* the web server connected */
	int64_t queued_us;   /* after that it waited for a worker to be free, for so long */
	int64_t received;    /* the request was there */
	int64_t began;       /* its session was being looked up, or its handler was about to run */
	int64_t sending;     /* the answer was made */
	int64_t lookup_us;   /* how long the look-up took */
	int64_t database_us; /* how long the handler waited for the database */
	int64_t ordered;     /* a password was to be looked at */
	int64_t parked_us;   /* after that, until the answer was there */
	int64_t hashing_us;  /* of that, the hashing */
};

/*
 * How many sessions a request may present. Of one name a browser has as many cookies as there are paths and domains
 * that they were set for; each is looked up, and more of them would only be somebody's who wants work to be done.
 */
#define APP_KEYS_MAX 16

/* What is known of a request before it is taken in. */
struct app_preview {
	bool is_quick; /* its handler waits for nothing but the look-up */
	bool needs_no_database;
	uint32_t route;   /* its number for the counters */
	int method;       /* an enum ones_method; ONES_METHOD_COUNT: another one */
	size_t key_count; /* those to be looked up; 0: none */
	struct session_key keys[APP_KEYS_MAX];
};

/* What the look-up of a request's keys found, together with others'. */
struct app_lookup {
	enum db_status status;
	const struct session_lookup *result; /* with DB_OK */
	size_t first;                        /* the request's first key is that number of the reading's */
};

struct ones_request {
	struct ones_app *app;
	struct http_request *http;
	struct http_response response;
	const struct ones_route *route; /* NULL: there is none at its path */
	const char *path_part;          /* what stands for the * in the route's path, "" without one */
	bool was_answered;              /* before its handler ran: that is not to see it */
	bool is_checked;                /* the hook has been run */
	bool has_key;                   /* a well-formed one was presented */
	struct session_key key;
	struct app_preview preview;
	struct app_lookup lookup; /* when the preview has keys */
	struct rule_verdict verdict;
	struct ones_ending ending;
	struct kept_data *kept;  /* see data.c; NULL on routes that keep none */
	struct sign_in *sign_in; /* see signin.c; NULL: no password was to be looked at */
	struct app_times times;
};

/*
 * The application without routes as yet, before any fork; `settings`, `pages` and `board` are kept. NULL when out of
 * memory. What goes wrong while routes and receivers are added is in setup_problem.
 */
struct ones_app *app_new(TALLOC_CTX *ctx, const struct settings *settings, const struct pages *pages,
                         struct scoreboard *board);

/* Give this process its own database connection, after the fork. It connects at the first use. 0, or -1: no memory. */
int app_open_database(struct ones_app *app, const char *application_name);

/*
 * A connection to the database, not yet made, as `settings` say; for those that need one outside the app. `counters`
 * may be NULL.
 * NULL when out of memory.
 */
struct db *app_new_database(TALLOC_CTX *ctx, const struct settings *settings, struct counters *counters,
                            const char *application_name);

/* Look at a request that is ready, before another one is (see fcgi_peek_param()). */
void app_preview(const struct ones_app *app, const struct fcgi *fcgi, struct app_preview *preview);

/*
 * The request that is ready in `fcgi`; it owns `fcgi` from now on, also when it is NULL: it could not be taken in.
 * `lookup` (NULL: there were no keys) is copied; its reading has to last until app_close(). Of `times` the first four
 * are set, and the time of the look-up.
 */
struct ones_request *app_open(struct ones_app *app, struct fcgi *fcgi, const struct app_preview *preview,
                              const struct app_lookup *lookup, const struct app_times *times);

/* What a handler is told of what the database answered. */
enum ones_result app_result(enum db_status status);

/* Who is at the other end, for what is kept of them. */
struct client app_client(const struct ones_request *req);

/* Ask the rule about the presented key anew, when the answer may have changed: the verdict, the ending. */
enum db_status app_check_session(struct ones_request *req);

/* Run the hook, and the handler; after app_answer_job() only the handler, from its beginning. */
void app_run(struct ones_request *req);

/*
 * After app_run(): the password that has to be looked at before it is run again, and the rank of the login
 * (login_rank.h). NULL: there is none, and app_close() is next.
 */
const struct password_job *app_job(const struct ones_request *req, uint32_t *rank);

/* The job is done. */
void app_answer_job(struct ones_request *req, const struct password_answer *answer);

/* Answer instead: nobody can look at the password now. */
void app_refuse_busy(struct ones_request *req);

/* Send the answer, and log it. Returns its status. */
int app_close(struct ones_request *req);

/* Store in the background (db_start()) that the sessions in app->touches were seen: 1 to RULE_KEYS_MAX of them. */
void app_start_touch(struct ones_app *app);

#endif
