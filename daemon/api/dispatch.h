/*
 * The way of a request: what the pool calls, in this order. app_preview() says, before the request is taken in, whether
 * its session is to be looked up; the pool looks up the keys of all requests that are there at that moment. app_open()
 * takes it in (is it a request, whose route, cross-site check, body), app_run() runs the hook and the handler, and
 * app_close() answers. A handler that needs a password checked leaves a job, app_job(); with its answer app_run() runs
 * the handler again.
 */
#ifndef API_DISPATCH_H
#define API_DISPATCH_H

#include "api/exchange.h"
#include "api/password_check.h"
#include "http/fcgi.h"

/* Inspect a request that is ready, before another one is inspected (see fcgi_peek_param()). */
void app_preview(const struct ones_app *app, const struct fcgi *fcgi, struct app_preview *preview);

/*
 * The request that is ready in `fcgi`; it owns `fcgi` from now on, also when it is NULL: it could not be taken in.
 * `lookup` (NULL: there were no keys) is copied; its result has to last until app_close(). Of `times` the first four
 * are set, and the time of the look-up.
 */
struct ones_request *app_open(struct ones_app *app, struct fcgi *fcgi, const struct app_preview *preview,
                              const struct app_lookup *lookup, const struct app_times *times);

/* Run the hook, and the handler; after app_answer_job() only the handler, from its beginning. */
void app_run(struct ones_request *req);

/* Answer with 503 instead: there is no room for the check of the password now. */
void app_refuse_busy(struct ones_request *req);

/* Send the answer, and log it. Returns its status. */
int app_close(struct ones_request *req);

/* Store in the background (db_start()) that the sessions in app->touches were seen: 1 to RULE_KEYS_MAX of them. */
void app_start_touch(struct ones_app *app);

#endif
