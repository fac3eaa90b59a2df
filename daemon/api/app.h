/*
 * Where HTTP and sessions meet: what is behind onesession.h. A request goes through app_open() (is it one, whose
 * route?), app_run() (cross-site check, body, the hook, the handler) and app_close() (answer, touch).
 */
#ifndef API_APP_H
#define API_APP_H

#include "base/settings.h"
#include "http/fcgi.h"
#include "http/request.h"
#include "http/response.h"
#include "onesession.h"
#include "session/password.h"
#include "session/rule.h"

#include <stdbool.h>
#include <talloc.h>

#define ROUTES_MAX 64

/* Seconds that clients are asked to wait before they try again. */
#define RETRY_AFTER_S "2"

struct ones_app {
	const struct settings *settings;
	struct signals *signals;
	struct ones_route routes[ROUTES_MAX];
	size_t route_count;
	const char *setup_problem;           /* what was wrong with a call during setup; NULL: nothing */
	struct rule rule;                    /* its db is this process's own */
	char decoy_hash[PASSWORD_HASH_SIZE]; /* verified when there is no account, so that both take the same time */
	uint32_t process_id_part;
	uint32_t request_count;
};

struct ones_request {
	struct ones_app *app;
	struct http_request *http;
	struct http_response response;
	const struct ones_route *route; /* NULL: answered already */
	bool has_key;                   /* a well-formed one was presented */
	struct session_key key;
	struct rule_verdict verdict;
	struct ones_ending ending;
	int64_t began_ms;
};

/*
 * The application without routes as yet, before any fork; `settings` is kept. NULL when out of memory. What goes
 * wrong while routes and receivers are added is in setup_problem.
 */
struct ones_app *app_new(TALLOC_CTX *ctx, const struct settings *settings);

/* Give this process its own database connection, after the fork. It connects at the first use. 0, or -1: no memory. */
int app_open_database(struct ones_app *app, const char *application_name);

/*
 * A connection to the database, not yet made, as `settings` say; for those that need one outside the app.
 * NULL when out of memory.
 */
struct db *app_new_database(TALLOC_CTX *ctx, const struct settings *settings, const char *application_name);

/* The request that `fcgi` has accepted; it owns `fcgi` from now on. NULL when out of memory. */
struct ones_request *app_open(struct ones_app *app, struct fcgi *fcgi);

/* True when it needs one of the places for hashing before app_run(). */
bool app_needs_hashing_place(const struct ones_request *req);

/* Answer instead of app_run(): no place for hashing came free. */
void app_refuse_busy(struct ones_request *req);

void app_run(struct ones_request *req);

/* Send the answer, log it, then do what may wait until after it. Returns its status. */
int app_close(struct ones_request *req);

#endif
