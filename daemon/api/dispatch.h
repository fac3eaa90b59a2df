/*
 * The way of a request. Each call returns the step that is next, which is for the pool to take: it decides when, and
 * which requests wait meanwhile.
 *
 *	app_preview()      what is it, before it is taken in?          LOOKUP, RUN or QUEUE
 *	app_turn_away()    it cannot be served now                     RUN
 *	app_looked_up()    its keys have been looked up                RUN or QUEUE
 *	app_run()          take it in; the hook, the handler           LOOKUP, RECEIVE, HASH, STREAM or SEND, or it is
 *gone app_receive()      more of a streamed body (receiving.h)       RECEIVE, QUEUE, SEND or DROP app_stream() more of
 *the answer, if it is a stream       STREAM or SEND app_hashed()       its password has been checked, or not QUEUE or
 *SEND app_close()        send the answer
 */
#ifndef API_DISPATCH_H
#define API_DISPATCH_H

#include "api/exchange.h"
#include "api/password_check.h"
#include "http/fcgi.h"

enum app_step {
	APP_LOOKUP,  /* look up the preview's keys, together with those of other requests; then app_looked_up(). From
	                app_run() where the keys stand in the body: see app_preview_of() */
	APP_RUN,     /* app_run() at once: it waits for nothing */
	APP_QUEUE,   /* app_run() when its turn has come: it may wait for the database */
	APP_RECEIVE, /* app_receive() each time that more of its body has arrived */
	APP_HASH,    /* have app_job() done, or not; then app_hashed() */
	APP_STREAM,  /* app_stream() each time that there is room for more of the answer */
	APP_SEND,    /* app_close() */
	APP_DROP,    /* its peer has gone: close the connection */
};

/* What becomes of the body of a request, whose parameters are there, by its route; `app` is the application. */
struct body_plan app_plan_body(const void *app, const struct fcgi *fcgi);

/* Inspect a request that is ready, before another one is inspected (see fcgi_peek_param()). */
enum app_step app_preview(const struct ones_app *app, const struct fcgi *fcgi, struct app_preview *preview);

/* It waited too long, or there is no room for it to wait: its answer will be 503. Nothing of its body is waited for. */
enum app_step app_turn_away(struct app_preview *preview);

/*
 * A request that was taken in and whose next step is APP_LOOKUP: what is to be looked up, which its body said; and what
 * was found, which has to last until app_close(), and took so long.
 */
const struct app_preview *app_preview_of(const struct ones_request *req);
void app_take_lookup(struct ones_request *req, const struct app_lookup *lookup, int64_t took_us);

/* What the look-up of its keys has found decides whether it may have to wait for the account's lock. */
enum app_step app_looked_up(const struct ones_app *app, const struct app_preview *preview,
                            const struct app_lookup *lookup);

/*
 * Take in the request that is ready in `fcgi`; it owns `fcgi` from now on, also when it is NULL: it could not be taken
 * in. `lookup` (NULL: there were no keys; empty: they have not been looked up) is copied; its result has to last until
 * app_close(). Of `times` the first four are set, and the time of the look-up.
 */
struct ones_request *app_open(struct ones_app *app, struct fcgi *fcgi, const struct app_preview *preview,
                              const struct app_lookup *lookup, const struct app_times *times);

/*
 * Run the hook, which looks the keys up unless that has been done, and the handler; after app_hashed() only the
 * handler, from its beginning. A body that is streamed is received between both, and the hook run again: nothing is
 * stored for those whom the route is not open to.
 */
enum app_step app_run(struct ones_request *req);

/*
 * The job of APP_HASH is done; `answer` NULL: it is not, there is no room for it now, and the request is answered with
 * 503.
 */
enum app_step app_hashed(struct ones_request *req, const struct password_answer *answer);

/* Send the answer, unless it was a stream, and log it. Returns its status. */
int app_close(struct ones_request *req);

/* Store in the background (db_start()) that the sessions in app->touches were seen: 1 to RULE_KEYS_MAX of them. */
void app_start_touch(struct ones_app *app);

#endif
