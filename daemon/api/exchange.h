/* An exchange: one request under way in this process, with its session and its answer (struct ones_request). */
#ifndef API_EXCHANGE_H
#define API_EXCHANGE_H

#include "api/routes.h"
#include "http/request.h"
#include "http/response.h"
#include "session/session_lookup.h"

#include <stdbool.h>
#include <stdint.h>

/* When a request came to each stage, clock_monotonic_us(), and how long some of them took. */
struct app_times {
	int64_t connected;   /* the web server connected */
	int64_t queued_us;   /* after that it waited for a worker to be free, for so long */
	int64_t received;    /* the request was there */
	int64_t running_ms;  /* when its handler was begun, the last time, clock_monotonic_ms() */
	int64_t began;       /* its session was being looked up, or its handler was about to run */
	int64_t sending;     /* the answer was made */
	int64_t lookup_us;   /* how long the look-up took */
	int64_t database_us; /* how long the handler waited for the database */
	int64_t ordered;     /* the check of a password was ordered from the hasher */
	int64_t parked_us;   /* after that, until the answer was there */
	int64_t hashing_us;  /* of that, the hashing */
	int64_t body_began;  /* a streamed body began to be received */
	int64_t body_us;     /* until it was there */
};

/*
 * How many session keys a request may present in cookies. A browser has one cookie of a name for each path and domain
 * that it was set for; each key is looked up, and a client that sends more of them only makes work. Beside them there
 * is the one in Authorization.
 */
#define APP_COOKIE_KEYS_MAX 16
#define APP_KEYS_MAX        (APP_COOKIE_KEYS_MAX + 1)

/* What is known of a request before it is taken in. */
struct app_preview {
	bool is_quick; /* its handler waits for nothing but the look-up */
	bool needs_no_database;
	bool is_foreign;           /* of another module than the daemon itself, and guard workers are kept from it */
	bool may_hash;             /* its handler may have a password checked */
	bool may_have_body;        /* one that the handler gets */
	bool is_turned_away;       /* see app_turn_away() */
	uint32_t route;            /* its number for the counters */
	int64_t timeout_ms;        /* of the route; 0: server.request_timeout */
	int method;                /* an enum ones_method; ONES_METHOD_COUNT: another one */
	bool has_caller;           /* it is a program's call, see callers.h */
	struct session_key caller; /* then: the key of its token */
	bool is_doubtful;          /* it may bring a key that cannot be looked up: see keys.h */
	size_t key_count;          /* those to be looked up; 0: none. First the application's own, */
	size_t readings_at;        /* from this one on what programs may read in their place, */
	size_t own_at;             /* from this one on those of the daemon's cookies, */
	size_t bearer_at;          /* and from this one on that of Authorization; see keys.h */
	size_t session_keys;       /* the first ones, of which one may be its session's: all but a key in Authorization
	                              beside a cookie, which is only to be kept from the application */
	struct session_key keys[APP_KEYS_MAX];
};

/* What the look-up of a request's keys found, alone or together with those of other requests. */
struct app_lookup {
	enum db_status status;
	const struct session_lookup *result; /* with DB_OK; NULL: they have not been looked up */
	size_t first;                        /* the request's first key is that number of the look-up's */
};

/* What stands in a request's path for a part of its route's. */
struct path_part {
	const char *name; /* not ended by a NUL */
	size_t name_length;
	const char *value;
};

struct ones_request {
	struct ones_app *app;
	struct http_request *http;
	struct http_response response;
	const struct route *route; /* NULL: there is none at its path */
	size_t part_count;         /* see ones_path() */
	struct path_part parts[ROUTE_PARTS_MAX];
	bool was_answered;        /* by routing, so that its handler does not run */
	bool is_checked;          /* the hook has been run */
	bool is_sent;             /* the answer, as a stream */
	bool is_received;         /* its streamed body is there */
	bool depends_on_language; /* the answer does: see language_of() */
	bool has_key;             /* a well-formed one was presented */
	bool is_passive;          /* see ones_stay_passive() */
	bool is_in_authorization; /* that one stood there, and in no cookie */
	struct session_key key;
	struct app_preview preview;
	struct app_lookup lookup; /* when the preview has keys */
	struct rule_verdict verdict;
	struct ones_ending ending;
	struct api_caller caller;              /* of a route with .scope: the program that calls; id 0: nobody does */
	struct uploads *uploads;               /* see uploads.h; NULL: it has no streamed body */
	struct stream *stream;                 /* see streams.h; NULL: the answer is sent whole */
	struct request_data *data;             /* see request_data.c; NULL: its route has none */
	struct ones_refusal refusal;           /* see ones_refusal(); .code is NULL: none */
	const char *password_problem;          /* see ones_password_problem(); NULL: none */
	struct ones_db *db;                    /* see request_db.c; NULL: it was not asked for */
	struct ones_db *stream_db;             /* likewise, for the pieces of a stream */
	const char *counted;                   /* of ones_throttle(): what was asked for; NULL: it was not called */
	int64_t counted_wait_s;                /* and its answer */
	struct password_check *password_check; /* see password_check.c; NULL: no password was to be checked */
	struct app_times times;
};

/* The client, as it is kept with sessions and events. */
struct client exchange_client(const struct ones_request *req);

/*
 * A handler's mistake, or memory that ran out: logged with the route (see "Mistakes" in onesession.h). The first has
 * the answer become a 500; the second has no effect on it.
 */
void exchange_fail(struct ones_request *req, const char *problem);
void exchange_warn(const struct ones_request *req, const char *problem);

/* The module of the request's route; the daemon's own where there is none. */
const struct module *exchange_module(const struct ones_request *req);

/* Has the look-up found that the key is one of a session, live or ended? */
bool exchange_knows_key(const struct ones_request *req, const struct session_key *key);

/* What a handler gets for what the database answered. */
enum ones_result exchange_result(enum db_status status);

#endif
