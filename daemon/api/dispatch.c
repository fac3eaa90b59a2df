/* The way of a request, from its preview to its answer: route, hook, handler. */
#include "api/dispatch.h"

#include "api/callers.h"
#include "api/keys.h"
#include "api/receiving.h"
#include "api/request_data.h"
#include "api/request_db.h"
#include "api/routing.h"
#include "api/session_check.h"
#include "api/streams.h"
#include "base/clock.h"
#include "base/log.h"

#include <endian.h>
#include <sodium.h>
#include <string.h>

/* Room for what an ordinary request allocates, so that it costs one malloc. */
#define REQUEST_POOL_SIZE 8192

/* Two numbers of 32 bits in hexadecimal digits. */
#define OWN_ID_SIZE (2 * 2 * sizeof(uint32_t) + 1)

/* ---- Before it is taken in ---------------------------------------------------------------------------------- */

/* SCRIPT_NAME and PATH_INFO (RFC 3875, 4.1). False when it does not fit. */
static bool peek_path(const struct fcgi *fcgi, char path[REQUEST_PATH_MAX + 1])
{
	static const char *const names[] = {"SCRIPT_NAME", "PATH_INFO"};
	size_t used = 0;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct fcgi_text part;

		if (!fcgi_peek_param(fcgi, names[i], &part))
			continue;
		if (part.length > REQUEST_PATH_MAX - used)
			return false;
		memcpy(path + used, part.at, part.length);
		used += part.length;
	}
	path[used] = '\0';
	return true;
}

/*
 * A request that has to take its turn is looked up when it runs (session_check()): until then it may be forwarded, and
 * what was looked up for it would be lost.
 */
static enum app_step step_of(const struct app_preview *preview)
{
	if (!preview->is_quick)
		return APP_QUEUE;
	return preview->key_count > 0 ? APP_LOOKUP : APP_RUN;
}

/* An authorizer's request is asked as GET; ONES_METHOD_COUNT: it has none. */
static enum ones_method peek_method(const struct fcgi *fcgi)
{
	struct fcgi_text method;
	bool is_head;

	if (fcgi_role(fcgi) == FCGI_ROLE_AUTHORIZER)
		return ONES_METHOD_GET;
	return fcgi_peek_param(fcgi, "REQUEST_METHOD", &method) ? request_method(method, &is_head) : ONES_METHOD_COUNT;
}

/* The route at the request's path; NULL when there is none. An authorizer's request goes to the guard. */
static const struct route *peek_route(const struct ones_app *app, const struct fcgi *fcgi, enum ones_method method)
{
	bool is_authorizer = fcgi_role(fcgi) == FCGI_ROLE_AUTHORIZER;
	char path[REQUEST_PATH_MAX + 1];
	struct route_parts parts;

	if (is_authorizer)
		return routes_for(app, ONES_PURPOSE_GUARD);
	return peek_path(fcgi, path) ? routes_find(app, path, method, &parts) : NULL;
}

/* Does a request with that method have a body that is read? */
static bool reads_body(const struct ones_route *route, enum ones_method method)
{
	return method != ONES_METHOD_GET && !route->no_body && route_handler(route, method) != NULL;
}

struct body_plan app_plan_body(const void *app, const struct fcgi *fcgi)
{
	const enum ones_method method = peek_method(fcgi);
	const struct route *found = peek_route(app, fcgi, method);
	const struct ones_route *route = found != NULL ? &found->declared : NULL;
	struct body_plan plan = {.max = route_max_body(app, route)};
	struct fcgi_text type = {"", 0};

	if (route == NULL || !route_takes_files(route) || !reads_body(route, method))
		return plan;
	(void)fcgi_peek_param(fcgi, "CONTENT_TYPE", &type);
	plan.is_streamed = route_streams(route, request_body_kind(type));
	if (plan.is_streamed && route->max_body > 0)
		plan.max = (uint64_t)route->max_body;
	return plan;
}

enum app_step app_preview(const struct ones_app *app, const struct fcgi *fcgi, struct app_preview *preview)
{
	const enum ones_method method = peek_method(fcgi);
	const bool is_get = method == ONES_METHOD_GET;
	const struct route *found = peek_route(app, fcgi, method);
	const struct ones_route *route;

	*preview = (struct app_preview){.is_quick = true, .route = COUNTERS_NO_ROUTE, .method = (int)method};
	if (found == NULL)
		return step_of(preview);
	route = &found->declared;
	preview->route = found->number;
	preview->timeout_ms = route->timeout_ms;
	preview->is_foreign = app->keeps_guards && route_is_foreign(app, found);
	preview->may_have_body = reads_body(route, method);
	preview->may_hash = route->hashes && !is_get;
	/* The fallback worker, which such requests may come to, waits for no body. */
	preview->needs_no_database = route->needs == ONES_NEEDS_NOTHING && !preview->may_have_body;
	preview->is_quick =
		route->needs == ONES_NEEDS_NOTHING || (route->quick && (is_get || route->key_field != NULL));
	/* Others would wait for it, if it did not keep its promise. */
	if (preview->is_foreign)
		preview->is_quick = false;
	/* What a program asks about stands in the body, which is not looked at before it is taken in. */
	if (route_has_session(route) && route->key_field == NULL)
		keys_peek(app, fcgi, preview);
	return step_of(preview);
}

enum app_step app_turn_away(struct app_preview *preview)
{
	preview->is_turned_away = true;
	keys_forget(preview);
	return APP_RUN;
}

enum app_step app_looked_up(const struct ones_app *app, const struct app_preview *preview,
                            const struct app_lookup *lookup)
{
	bool is_final = true;

	for (size_t i = 0; lookup->status == DB_OK && i < preview->key_count; i++)
		is_final = is_final && rule_is_final(&app->rule, lookup->result, lookup->first + i);
	/* Nor to have written down that a token was used. */
	if (lookup->status == DB_OK && preview->has_caller)
		is_final = is_final && !session_lookup_caller(lookup->result, lookup->first).touch_is_due;
	return is_final ? APP_RUN : APP_QUEUE;
}

/* ---- Taking it in ------------------------------------------------------------------------------------------- */

static void reply_http_problem(struct ones_request *req, const struct http_problem *problem)
{
	ones_reply_problem(req, problem->status, problem->code, problem->detail);
}

static bool wants_body(const struct ones_request *req)
{
	return !req->was_answered && req->route != NULL && !req->route->declared.no_body &&
	       req->http->method != ONES_METHOD_GET;
}

/* For a request that the web server has given no id: no other process and no other request has the same one. */
static void make_id(struct ones_app *app, char id[OWN_ID_SIZE])
{
	uint32_t parts[2];

	if (app->request_count == 0)
		app->process_id_part = randombytes_random();
	parts[0] = htobe32(app->process_id_part);
	parts[1] = htobe32(app->request_count++);
	(void)sodium_bin2hex(id, OWN_ID_SIZE, (const uint8_t *)parts, sizeof parts);
}

struct ones_request *app_open(struct ones_app *app, struct fcgi *fcgi, const struct app_preview *preview,
                              const struct app_lookup *lookup, const struct app_times *times)
{
	struct ones_request *req = talloc_pooled_object(NULL, struct ones_request, 16, REQUEST_POOL_SIZE);
	struct http_problem problem;
	char id[OWN_ID_SIZE];

	if (req == NULL || fcgi_accept(fcgi) != 0) {
		talloc_free(req);
		talloc_free(fcgi);
		return NULL;
	}
	*req = (struct ones_request){.app = app, .preview = *preview, .times = *times};
	(void)talloc_steal(req, fcgi);
	req->verdict = (struct rule_verdict){.reason = ONES_REASON_UNAUTHENTICATED};
	if (lookup != NULL)
		req->lookup = *lookup;
	req->http = talloc_zero(req, struct http_request);
	if (req->http == NULL) {
		talloc_free(req);
		return NULL;
	}
	make_id(app, id);
	problem = request_read(req->http, fcgi, id);
	log_set_request(req->http->id);
	if (problem.status == 0)
		routing_run(req);
	if (problem.status == 0 && wants_body(req))
		problem = request_read_body(req->http, route_bodies(&req->route->declared));
	if (problem.status != 0) {
		req->was_answered = true;
		reply_http_problem(req, &problem);
	}
	req->times.sending = req->times.began;
	log_set_request(NULL);
	return req;
}

/* ---- Running its handler ------------------------------------------------------------------------------------ */

/* By this process, since it was started. */
static int64_t database_waited(const struct ones_request *req)
{
	return req->app->rule.db != NULL ? db_waited_us(req->app->rule.db) : 0;
}

/* The hook. Returns false when it has answered. */
static bool run_hook(struct ones_request *req)
{
	enum db_status status;

	if (req->is_checked || !route_has_session(&req->route->declared))
		return true;
	req->is_checked = true;
	status = req->is_received ? session_recheck(req) : session_check(req);
	if (status != DB_OK)
		ones_reply_failure(req, exchange_result(status), NULL);
	return status == DB_OK;
}

/* Is the route open to the account? Answers when it is not. */
static bool is_admitted(struct ones_request *req)
{
	const struct ones_route *route = &req->route->declared;
	const struct ones_session *session = ones_session(req);

	if ((route->signed_in || route->fresh || route->admins_only) && session == NULL)
		ones_reply_unauthenticated(req);
	else if (route->admins_only && !session->user.is_admin)
		ones_reply_problem(req, 403, "forbidden", "You are signed in, but this is not open to you.");
	/* A large body may have taken long to arrive: it was fresh when that began. */
	else if (route->fresh && !req->is_received && !ones_is_fresh(req))
		ones_reply_stale(req, NULL);
	else
		return true;
	return false;
}

/* A program's call whose keys were in its body: they are looked up together with those of others, if it is quick. */
static bool waits_for_lookup(const struct ones_request *req)
{
	const struct app_preview *preview = &req->preview;

	return preview->is_quick && preview->has_caller && preview->key_count > 0 && req->lookup.status == DB_OK &&
	       req->lookup.result == NULL;
}

static enum app_step run_handler(struct ones_request *req)
{
	if (!caller_read(req))
		return APP_SEND;
	if (waits_for_lookup(req))
		return APP_LOOKUP;
	if (!caller_admit(req) || !run_hook(req) || !is_admitted(req))
		return APP_SEND;
	if (receiving_is_due(req))
		return receiving_begin(req);
	if (!request_data_open(req))
		return APP_SEND;
	(void)module_enter(req->app, req->route->module);
	req->app->request = req;
	route_handler(&req->route->declared, req->http->method)(req);
	req->app->request = NULL;
	if (app_job(req, NULL) == NULL && !response_is_there(&req->response))
		exchange_fail(req, "the handler has given no answer");
	(void)module_enter(req->app, NULL);
	if (app_job(req, NULL) == NULL) {
		request_db_close(req);
		request_data_close(req);
		return APP_SEND;
	}
	/* It is run again, and answers then. */
	response_reset(&req->response);
	return APP_HASH;
}

static bool depends_on_session(const struct ones_request *req)
{
	return !req->was_answered && req->route != NULL && route_has_session(&req->route->declared);
}

/* A program's call brings no cookie, and has a token that decides what is answered. */
static bool is_of_program(const struct ones_request *req)
{
	return req->route != NULL && req->route->declared.scope != NULL && req->route->declared.scope[0] != '\0';
}

/*
 * What caches have to know: the answer for a session is not kept, and what an answer was chosen by is named. What an
 * authorizer lets in is the web server's to answer; Apache would pass these fields on with it.
 */
static void add_fields_for_caches(struct ones_request *req)
{
	struct http_response *response = &req->response;
	bool is_of_session = depends_on_session(req);
	bool reads_authorization = keys_may_be_in_authorization(req->app);

	if (req->http->is_authorizer && response->status == 200)
		return;
	if ((is_of_session || is_of_program(req)) &&
	    (response->cookie_count > 0 || !response_has_header(response, "Cache-Control")))
		response_header(response, req, "Cache-Control", "no-store");
	if (req->depends_on_language)
		response_header(response, req, "Vary",
		                reads_authorization ? "Accept-Language, Cookie, Authorization"
		                                    : "Accept-Language, Cookie");
	else if (is_of_session && !is_of_program(req))
		response_header(response, req, "Vary", reads_authorization ? "Cookie, Authorization" : "Cookie");
}

/* The handler has answered with a stream. */
static enum app_step answer_step(struct ones_request *req)
{
	if (!stream_is_due(req))
		return APP_SEND;
	add_fields_for_caches(req);
	return stream_begin(req) ? APP_STREAM : APP_SEND;
}

enum app_step app_run(struct ones_request *req)
{
	int64_t waited = database_waited(req);
	enum app_step step;

	if (req->was_answered)
		return APP_SEND;
	log_set_request(req->http->id);
	req->times.running_ms = clock_monotonic_ms();
	step = run_handler(req);
	if (step == APP_SEND && req->stream != NULL)
		step = answer_step(req);
	req->times.database_us += database_waited(req) - waited;
	req->times.sending = clock_monotonic_us();
	log_set_request(NULL);
	return step;
}

static void refuse_busy(struct ones_request *req)
{
	counters_add(&req->app->board->counters, COUNTER_THROTTLED);
	response_reset(&req->response);
	if (req->times.ordered != 0)
		req->times.parked_us += clock_monotonic_us() - req->times.ordered;
	log_set_request(req->http->id);
	ones_reply_problem(req, 503, "busy", "Too many people are signing in at this moment. Please try again.");
	log_set_request(NULL);
	req->times.sending = clock_monotonic_us();
}

enum app_step app_hashed(struct ones_request *req, const struct password_answer *answer)
{
	if (answer == NULL) {
		refuse_busy(req);
		return APP_SEND;
	}
	password_check_answered(req, answer);
	return APP_QUEUE;
}

/* ---- Answering ---------------------------------------------------------------------------------------------- */

/* Where the time of a request went that took long; work_ms is what no other stage accounts for. */
static void log_slow(const struct ones_request *req, int64_t done, int status)
{
	const struct app_times *times = &req->times;
	int64_t database = times->lookup_us + times->database_us;

	log_warning(
		"slow_request", LOG_STR("method", req->http->method_name), LOG_STR("path", req->http->path),
		LOG_INT("status", status), LOG_INT("ms", (done - times->connected) / 1000),
		LOG_INT("receive_ms", (times->received - times->connected - times->queued_us + times->body_us) / 1000),
		LOG_INT("wait_ms",
	                (times->began - times->received + times->queued_us + times->parked_us - times->hashing_us) /
	                        1000),
		LOG_INT("database_ms", database / 1000), LOG_INT("hash_ms", times->hashing_us / 1000),
		LOG_INT("work_ms",
	                (times->sending - times->began - database - times->parked_us - times->body_us) / 1000),
		LOG_INT("send_ms", (done - times->sending) / 1000), LOG_STR("ip", req->http->remote_addr));
}

/* After the answer. */
static void account_for(const struct ones_request *req, int status)
{
	int64_t slow = req->app->settings->log.slow_request;
	int64_t done = clock_monotonic_us();

	counters_add_request(&req->app->board->counters, route_number(req->route), status, done - req->times.connected);
	log_debug("request", LOG_STR("method", req->http->method_name), LOG_STR("path", req->http->path),
	          LOG_INT("status", status), LOG_INT("ms", (done - req->times.connected) / 1000),
	          LOG_STR("ip", req->http->remote_addr));
	if (slow > 0 && done - req->times.connected > slow * 1000)
		log_slow(req, done, status);
}

const struct app_preview *app_preview_of(const struct ones_request *req)
{
	return &req->preview;
}

void app_take_lookup(struct ones_request *req, const struct app_lookup *lookup, int64_t took_us)
{
	req->lookup = *lookup;
	req->times.lookup_us += took_us;
}

int app_close(struct ones_request *req)
{
	struct http_request *http = req->http;
	int status;

	log_set_request(http->id);
	if (!req->is_sent)
		add_fields_for_caches(req);
	if (!req->is_sent && response_send(&req->response, req, http->fcgi, http->is_head) != 0)
		log_debug("answer_not_taken", LOG_STR("path", http->path));
	status = req->response.status;
	account_for(req, status);
	/* When there is no room the next request of the same session will do. */
	if (depends_on_session(req) && !req->route->declared.passive && !req->is_passive && req->verdict.live &&
	    req->verdict.touch_due && req->app->touch_count < RULE_KEYS_MAX)
		req->app->touches[req->app->touch_count++] = req->key;
	log_set_request(NULL);
	return status;
}

void app_start_touch(struct ones_app *app)
{
	rule_start_touch(&app->rule, app->touches, app->touch_count);
	app->touch_count = 0;
}
