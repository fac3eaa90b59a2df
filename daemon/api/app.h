/*
 * Where HTTP and sessions meet: what is behind onesession.h. A request goes through app_open() (is it one, whose
 * route, cross-site check, body), app_run() (the hook, the handler) and app_close() (answer). Before app_run(), those
 * that have come together may have their sessions looked up by app_read_sessions(); app_touch() follows their answers.
 */
#ifndef API_APP_H
#define API_APP_H

#include "base/networks.h"
#include "base/scoreboard.h"
#include "base/settings.h"
#include "http/fcgi.h"
#include "http/page.h"
#include "http/request.h"
#include "http/response.h"
#include "onesession.h"
#include "session/password.h"
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
	struct signals *signals;
	struct ones_route routes[COUNTERS_ROUTES_MAX];
	size_t route_count;
	const char *setup_problem; /* what was wrong with a call during setup; NULL: nothing */
	struct rule rule;          /* its db is this process's own; NULL in one that has none */
	/* With this prefix a browser takes the cookie only over HTTPS and from this very host: nobody can plant one. */
	const char *secure_key_cookie;
	char decoy_hash[PASSWORD_HASH_SIZE]; /* verified when there is no account, so that both take the same time */
	uint32_t process_id_part;
	uint32_t request_count;
	size_t touch_count; /* sessions to be touched by app_touch() */
	struct session_key touches[RULE_KEYS_MAX];
};

/* When a request came to each stage, clock_monotonic_us(), and how long some of them took. */
struct app_times {
	int64_t connected;     /* the web server connected */
	int64_t queued_us;     /* after that it waited for a worker to be free, for so long */
	int64_t received;      /* the request was there */
	int64_t began;         /* its turn came: logins wait for a place to hash */
	int64_t sending;       /* the answer was made */
	int64_t database_from; /* db_waited_us() before it */
	int64_t hashing_us;
};

struct ones_request {
	struct ones_app *app;
	struct http_request *http;
	struct http_response response;
	const struct ones_route *route; /* NULL: there is none at its path */
	const char *path_part;          /* what stands for the * in the route's path, "" without one */
	bool was_answered;              /* before its turn came: no handler is to see it */
	bool has_key;                   /* a well-formed one was presented */
	struct session_key key;
	bool is_read; /* the three below are there, if it has a key */
	enum db_status read_status;
	const struct rule_reading *reading; /* with others' */
	size_t reading_number;
	struct rule_verdict verdict;
	struct ones_ending ending;
	struct kept_data *kept; /* see data.c; NULL on routes that keep none */
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

/* True when what is at `path` can be answered without a database. */
bool app_needs_no_database(const struct ones_app *app, const char *path);

/*
 * The request that `fcgi` has accepted; it owns `fcgi` from now on. `connected_us` is when its peer connected, by
 * clock_monotonic_us(), and `queued_us` how long no worker was free for it. NULL when out of memory.
 */
struct ones_request *app_open(struct ones_app *app, struct fcgi *fcgi, int64_t connected_us, int64_t queued_us);

/* What a handler is told of what the database answered. */
enum ones_result app_result(enum db_status status);

/* Who is at the other end, for what is kept of them. */
struct client app_client(const struct ones_request *req);

/* Ask the rule about the presented key anew, when the answer may have changed: the verdict, the ending. */
enum db_status app_check_session(struct ones_request *req);

/* The number of its route for the counters. */
size_t app_route_number(const struct ones_request *req);

/* True when it needs one of the places for hashing before app_run(). */
bool app_needs_hashing_place(const struct ones_request *req);

/* Answer instead of app_run(): no place for hashing came free. */
void app_refuse_busy(struct ones_request *req);

/* True when app_run() will wait for nothing but the look at its session, so that others may wait for both. */
bool app_is_quick(const struct ones_request *req);

/* Look up the sessions of 1 to RULE_KEYS_MAX requests in one round trip; app_run() does so for one that is not. */
void app_read_sessions(struct ones_request *const reqs[], size_t count);

/* After that: true when app_run() has nothing more to ask the database, and so nothing to wait for. */
bool app_is_settled(const struct ones_request *req);

void app_run(struct ones_request *req);

/* Send the answer, and log it. Returns its status. */
int app_close(struct ones_request *req);

/* What may wait until the answers are out, of at most RULE_KEYS_MAX requests: store that their sessions were seen. */
void app_touch(struct ones_app *app);

#endif
