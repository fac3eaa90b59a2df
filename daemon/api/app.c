#include "api/app.h"

#include "api/request_data.h"
#include "api/key_cookie.h"
#include "base/clock.h"
#include "base/log.h"
#include "session/rule_receivers.h"
#include "session/schema.h"
#include "session/session_lookup.h"
#include "session/useragent.h"

#include <endian.h>
#include <sodium.h>
#include <string.h>

/* Room for what an ordinary request allocates, so that it costs one malloc. */
#define REQUEST_POOL_SIZE 8192

/* ---- Setup -------------------------------------------------------------------------------------------------- */

void ones_route(struct ones_app *app, const struct ones_route *route)
{
	if (app->route_count == COUNTERS_ROUTES_MAX) {
		app->setup_problem = "more than 64 routes";
		return;
	}
	if (route->path == NULL || route->path[0] != '/' ||
	    (route->get == NULL && route->post == NULL && route->any == NULL)) {
		app->setup_problem = "a route without a path that begins with a slash, or without a handler";
		return;
	}
	if (route->quick && (route->keeps_data || route->no_session || route->no_database)) {
		app->setup_problem = "a quick route that has no session, or keeps data with it";
		return;
	}
	if (route->keeps_data && (route->no_session || route->no_database)) {
		app->setup_problem = "a route that keeps data with a session, but has no session or no database";
		return;
	}
	for (size_t i = 0; i < app->route_count; i++) {
		if (strcmp(app->routes[i].path, route->path) == 0) {
			app->setup_problem = "two routes with the same path";
			return;
		}
	}
	app->routes[app->route_count++] = *route;
}

void ones_connect(struct ones_app *app, enum ones_signal signal, const struct ones_receiver *receiver)
{
	if (signals_connect(app->signals, signal, receiver) != 0)
		app->setup_problem = "out of memory for a receiver";
}

bool ones_disconnect(struct ones_app *app, enum ones_signal signal, const char *name)
{
	return signals_disconnect(app->signals, signal, name);
}

static bool log_event(const struct ones_event *event, void *context)
{
	(void)context;
	/* At this one somebody may want to be woken. */
	if (event->signal == ONES_SIGNAL_ACCOUNT_SHARED)
		log_warning(ones_signal_name(event->signal), LOG_INT("user_id", event->user_id),
		            LOG_STR("username", event->username), LOG_INT("takeovers", event->takeovers),
		            LOG_STR("session", event->session_id), LOG_STR("ip", event->ip));
	else
		log_info(ones_signal_name(event->signal), LOG_INT("user_id", event->user_id),
		         LOG_STR("username", event->username), LOG_STR("session", event->session_id),
		         LOG_STR("by", event->by_session_id), LOG_STR("reason", ones_reason_code(event->reason)),
		         LOG_STR("ip", event->ip));
	return true;
}

static bool count_event(const struct ones_event *event, void *context)
{
	static const enum counter counters[ONES_SIGNAL_COUNT] = {
		[ONES_SIGNAL_LOGGED_IN] = COUNTER_LOGINS,
		[ONES_SIGNAL_LOGGED_OUT] = COUNTER_LOGOUTS,
		[ONES_SIGNAL_LOGIN_FAILED] = COUNTER_LOGIN_FAILURES,
		[ONES_SIGNAL_SESSION_DISPLACED] = COUNTER_DISPLACEMENTS,
		[ONES_SIGNAL_ACCOUNT_SHARED] = COUNTER_SHARED_ACCOUNTS,
		[ONES_SIGNAL_PASSWORD_CHANGED] = COUNTER_PASSWORD_CHANGES,
	};

	counters_add(context, counters[event->signal]);
	return true;
}

struct ones_app *app_new(TALLOC_CTX *ctx, const struct settings *settings, const struct pages *pages,
                         struct scoreboard *board)
{
	const struct ones_receiver log = {.name = "log_event", .phase = ONES_AFTER_COMMIT, .call = log_event};
	const struct ones_receiver count = {
		.name = "count_event", .phase = ONES_AFTER_COMMIT, .call = count_event, .context = &board->counters};
	struct ones_app *app = talloc_zero(ctx, struct ones_app);
	const char *wrong;

	if (app == NULL)
		return NULL;
	app->settings = settings;
	app->pages = pages;
	app->board = board;
	app->operators = networks_parse(app, settings->server.operators, &wrong);
	app->links = links_parse(app, settings->login.links, &wrong);
	app->signals = signals_new(app);
	if (app->operators == NULL || app->links == NULL || app->signals == NULL ||
	    rule_connect_receivers(app->signals) != 0) {
		talloc_free(app);
		return NULL;
	}
	app->rule = (struct rule){
		.signals = app->signals,
		.policy = {.max_sessions = settings->session.max_sessions,
	                   .on_limit = settings->session.on_limit,
	                   .sharing = {.takeovers = settings->sharing.takeovers,
	                               .window_ms = settings->sharing.window,
	                               .cooldown_ms = settings->sharing.action == SHARING_COOLDOWN
	                                                      ? settings->sharing.cooldown
	                                                      : 0},
	                   .lifetime = settings->session.lifetime,
	                   .idle_timeout = settings->session.idle_timeout,
	                   .touch_interval = settings->session.touch_interval},
	};
	for (enum ones_signal signal = 0; signal < ONES_SIGNAL_COUNT; signal++) {
		ones_connect(app, signal, &log);
		ones_connect(app, signal, &count);
	}
	return app;
}

struct db *app_new_database(TALLOC_CTX *ctx, const struct settings *settings, struct counters *counters,
                            const char *application_name)
{
	const struct db_config config = {
		.conninfo = settings->database.conninfo,
		.application_name = application_name,
		.connect_timeout_ms = settings->database.connect_timeout,
		.statement_timeout_ms = settings->database.statement_timeout,
		.prepare = settings->database.prepare,
		.counters = counters,
		.required_schema = schema_version(),
	};

	return db_new(ctx, &config);
}

int app_open_database(struct ones_app *app, const char *application_name)
{
	app->rule.db = app_new_database(app, app->settings, &app->board->counters, application_name);
	return app->rule.db != NULL ? 0 : -1;
}

/* ---- A request's way ---------------------------------------------------------------------------------------- */

static void reply_problem(struct ones_request *req, const struct http_problem *problem)
{
	ones_reply_problem(req, problem->status, problem->code, problem->detail);
}

/* Of this process, in all its time. */
static int64_t database_waited(const struct ones_request *req)
{
	return req->app->rule.db != NULL ? db_waited_us(req->app->rule.db) : 0;
}

/* Does a route with this pattern serve `path`? *part and *size are then what stands for its *. */
static bool matches(const char *pattern, const char *path, const char **part, size_t *size)
{
	size_t before = strcspn(pattern, "*");

	*part = path + before;
	*size = 0;
	if (pattern[before] == '\0')
		return strcmp(pattern, path) == 0;
	if (strncmp(pattern, path, before) != 0)
		return false;
	*size = strcspn(*part, "/");
	return *size > 0 && strcmp(pattern + before + 1, *part + *size) == 0;
}

static const struct ones_route *find_route(const struct ones_app *app, const char *path, const char **part,
                                           size_t *size)
{
	for (size_t i = 0; i < app->route_count; i++) {
		if (matches(app->routes[i].path, path, part, size))
			return &app->routes[i];
	}
	return NULL;
}

/* What is below the prefix; NULL when the path is not. */
static const char *below_prefix(const struct ones_app *app, const char *path)
{
	const char *prefix = app->settings->server.prefix;
	size_t length = strlen(prefix);

	return strncmp(path, prefix, length) == 0 ? path + length : NULL;
}

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

void app_preview(const struct ones_app *app, const struct fcgi *fcgi, struct app_preview *preview)
{
	const struct ones_route *route = NULL;
	bool is_authorizer = fcgi_role(fcgi) == FCGI_ROLE_AUTHORIZER;
	char path[REQUEST_PATH_MAX + 1];
	struct fcgi_text method;
	const char *below, *part;
	bool is_head;
	size_t size;

	*preview = (struct app_preview){.is_quick = true, .route = COUNTERS_NO_ROUTE, .method = ONES_METHOD_COUNT};
	if (is_authorizer)
		preview->method = ONES_METHOD_GET;
	else if (fcgi_peek_param(fcgi, "REQUEST_METHOD", &method))
		preview->method = (int)request_method(method, &is_head);
	if (!is_authorizer && !peek_path(fcgi, path))
		return;
	below = is_authorizer ? "/auth" : below_prefix(app, path);
	if (below != NULL)
		route = find_route(app, below, &part, &size);
	if (route == NULL)
		return;
	preview->route = (uint32_t)(route - app->routes);
	preview->needs_no_database = route->no_database;
	preview->is_quick = route->no_database || (route->quick && preview->method == ONES_METHOD_GET);
	if (!route->no_session && !route->no_database)
		preview->key_count = key_cookie_peek(app, fcgi, preview->keys);
}

static size_t route_number(const struct ones_request *req)
{
	return req->route != NULL ? (size_t)(req->route - req->app->routes) : COUNTERS_NO_ROUTE;
}

static ones_handler *handler_of(const struct ones_route *route, enum ones_method method)
{
	if (route->any != NULL)
		return route->any;
	if (method == ONES_METHOD_GET)
		return route->get;
	return method == ONES_METHOD_POST ? route->post : NULL;
}

static void reply_wrong_method(struct ones_request *req, const struct ones_route *route)
{
	const char *allow = route->post == NULL ? "GET, HEAD" : route->get == NULL ? "POST" : "GET, HEAD, POST";

	ones_header(req, "Allow", allow);
	ones_reply_problem(req, 405, "method_not_allowed", "This address does not take that method.");
}

/* Sets req->route, and answers when no handler is to see the request. */
static void route_request(struct ones_request *req)
{
	const char *path = req->http->is_authorizer ? "/auth" : below_prefix(req->app, req->http->path);
	const char *part;
	size_t size;
	const struct ones_route *route = path != NULL ? find_route(req->app, path, &part, &size) : NULL;

	if (route != NULL && size > 0)
		req->path_part = talloc_strndup(req, part, size);
	if (route != NULL && route->operators_only && !networks_have_text(req->app->operators, req->http->remote_addr))
		route = NULL;
	req->was_answered = true;
	if (route != NULL && route->navigations && !request_is_navigation(req->http))
		req->http->is_program = true;
	/* An authorizer's request has the method of the request that it is about. */
	if (req->http->is_authorizer) {
		req->http->method = ONES_METHOD_GET;
		req->http->is_head = false;
	}
	if (req->path_part == NULL)
		req->response.failed = true;
	else if (route == NULL)
		ones_reply_problem(req, 404, "not_found", "There is nothing at this address.");
	else if (handler_of(route, req->http->method) == NULL)
		reply_wrong_method(req, route);
	else if (route->any == NULL && request_is_forged(req->http))
		ones_reply_problem(req, 403, "cross_site",
		                   "Another site made your browser send this. It was not done.");
	else
		req->was_answered = false;
	req->route = route;
}

static bool wants_body(const struct ones_request *req)
{
	return !req->was_answered && req->route != NULL && !req->route->no_body && req->http->method != ONES_METHOD_GET;
}

struct ones_request *app_open(struct ones_app *app, struct fcgi *fcgi, const struct app_preview *preview,
                              const struct app_lookup *lookup, const struct app_times *times)
{
	struct ones_request *req = talloc_pooled_object(NULL, struct ones_request, 16, REQUEST_POOL_SIZE);
	struct http_problem problem;
	uint32_t id_parts[2];
	char id[2 * sizeof id_parts + 1];

	if (req == NULL || fcgi_accept(fcgi) != 0) {
		talloc_free(req);
		talloc_free(fcgi);
		return NULL;
	}
	*req = (struct ones_request){.app = app, .path_part = "", .preview = *preview, .times = *times};
	(void)talloc_steal(req, fcgi);
	req->verdict = (struct rule_verdict){.reason = ONES_REASON_UNAUTHENTICATED};
	if (lookup != NULL)
		req->lookup = *lookup;
	req->http = talloc_zero(req, struct http_request);
	if (req->http == NULL) {
		talloc_free(req);
		return NULL;
	}
	if (app->request_count == 0)
		app->process_id_part = randombytes_random();
	id_parts[0] = htobe32(app->process_id_part);
	id_parts[1] = htobe32(app->request_count++);
	(void)sodium_bin2hex(id, sizeof id, (const uint8_t *)id_parts, sizeof id_parts);
	problem = request_read(req->http, fcgi, id);
	log_set_request(req->http->id);
	if (problem.status == 0)
		route_request(req);
	if (problem.status == 0 && wants_body(req))
		problem = request_read_body(req->http);
	if (problem.status != 0) {
		req->was_answered = true;
		reply_problem(req, &problem);
	}
	req->times.sending = req->times.began;
	log_set_request(NULL);
	return req;
}

void app_refuse_busy(struct ones_request *req)
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

struct client app_client(const struct ones_request *req)
{
	return (struct client){.ip = req->http->remote_addr, .user_agent = req->http->user_agent};
}

enum ones_result app_result(enum db_status status)
{
	if (status == DB_OK)
		return ONES_RESULT_OK;
	return status == DB_ERROR ? ONES_RESULT_FAILED : ONES_RESULT_UNAVAILABLE;
}

static const char *or_empty(const char *text)
{
	return text != NULL ? text : "";
}

/* Of the keys that were presented it is the first that is live, else the first. */
static enum db_status check_session(struct ones_request *req)
{
	const struct client client = app_client(req);
	const struct app_preview *preview = &req->preview;
	const struct app_lookup *lookup = &req->lookup;
	size_t which = 0;
	enum db_status status;

	req->has_key = preview->key_count > 0;
	if (req->has_key) {
		status = lookup->status;
		for (size_t i = preview->key_count; status == DB_OK && i-- > 0;) {
			if (rule_may_be_live(&req->app->rule, lookup->result, lookup->first + i))
				which = i;
		}
		req->key = preview->keys[which];
		if (status == DB_OK)
			status = rule_check(&req->app->rule, req, lookup->result, lookup->first + which, &client,
			                    &req->verdict);
		if (status != DB_OK)
			return status;
	}
	req->ending = (struct ones_ending){
		.reason = req->verdict.reason,
		.ended_at = req->verdict.ended_at,
		.by_browser = useragent_browser(req->verdict.by_user_agent),
		.by_os = useragent_os(req->verdict.by_user_agent),
		.by_ip = or_empty(req->verdict.by_ip),
		.browser = useragent_browser(req->verdict.user_agent),
		.os = useragent_os(req->verdict.user_agent),
		.ip = or_empty(req->verdict.ip),
	};
	return DB_OK;
}

enum db_status app_check_session(struct ones_request *req)
{
	struct session_lookup *found = NULL;

	if (req->preview.key_count > 0)
		req->lookup.status =
			session_lookup(&req->app->rule, req, req->preview.keys, req->preview.key_count, &found);
	req->lookup.result = found;
	req->lookup.first = 0;
	return check_session(req);
}

/* The hook: who is it, and is this session still the account's live one? Returns false when it has answered. */
static bool run_hook(struct ones_request *req)
{
	enum db_status status;

	if (req->is_checked || req->route->no_session || req->route->no_database)
		return true;
	req->is_checked = true;
	status = check_session(req);
	if (status != DB_OK)
		ones_reply_failure(req, app_result(status), NULL);
	return status == DB_OK;
}

void app_run(struct ones_request *req)
{
	int64_t waited = database_waited(req);

	if (req->was_answered)
		return;
	log_set_request(req->http->id);
	if (run_hook(req) && data_open(req)) {
		handler_of(req->route, req->http->method)(req);
		/* What it has answered meanwhile counts for nothing: it is run again. */
		if (app_job(req, NULL) != NULL)
			response_reset(&req->response);
		else
			data_close(req);
	}
	req->times.database_us += database_waited(req) - waited;
	req->times.sending = clock_monotonic_us();
	log_set_request(NULL);
}

/* Where the time of a request went that took long. What is in no stage is our own work. */
static void log_slow(const struct ones_request *req, int64_t done, int status)
{
	const struct app_times *times = &req->times;
	int64_t database = times->lookup_us + times->database_us;

	log_warning("slow_request", LOG_STR("method", req->http->method_name), LOG_STR("path", req->http->path),
	            LOG_INT("status", status), LOG_INT("ms", (done - times->connected) / 1000),
	            LOG_INT("receive_ms", (times->received - times->connected - times->queued_us) / 1000),
	            LOG_INT("wait_ms",
	                    (times->began - times->received + times->queued_us + times->parked_us - times->hashing_us) /
	                            1000),
	            LOG_INT("database_ms", database / 1000), LOG_INT("hash_ms", times->hashing_us / 1000),
	            LOG_INT("work_ms", (times->sending - times->began - database - times->parked_us) / 1000),
	            LOG_INT("send_ms", (done - times->sending) / 1000), LOG_STR("ip", req->http->remote_addr));
}

/* The answer is out: tell of it. */
static void account_for(const struct ones_request *req, int status)
{
	int64_t slow = req->app->settings->log.slow_request;
	int64_t done = clock_monotonic_us();

	counters_add_request(&req->app->board->counters, route_number(req), status, done - req->times.connected);
	log_debug("request", LOG_STR("method", req->http->method_name), LOG_STR("path", req->http->path),
	          LOG_INT("status", status), LOG_INT("ms", (done - req->times.connected) / 1000),
	          LOG_STR("ip", req->http->remote_addr));
	if (slow > 0 && done - req->times.connected > slow * 1000)
		log_slow(req, done, status);
}

int app_close(struct ones_request *req)
{
	struct http_request *http = req->http;
	bool depends_on_cookie =
		!req->was_answered && req->route != NULL && !req->route->no_session && !req->route->no_database;
	int status;

	log_set_request(http->id);
	/* What an authorizer lets in is the web server's to answer; Apache would pass these fields on with it. */
	if (depends_on_cookie && !(http->is_authorizer && req->response.status == 200)) {
		ones_header(req, "Cache-Control", "no-store");
		ones_header(req, "Vary", "Cookie");
	}
	if (response_send(&req->response, req, http->fcgi, http->is_head) != 0)
		log_debug("answer_not_taken", LOG_STR("path", http->path));
	status = req->response.status;
	account_for(req, status);
	/* When there is no room the next request of the same session will do. */
	if (depends_on_cookie && !req->route->passive && req->verdict.live && req->verdict.touch_due &&
	    req->app->touch_count < RULE_KEYS_MAX)
		req->app->touches[req->app->touch_count++] = req->key;
	log_set_request(NULL);
	return status;
}

void app_start_touch(struct ones_app *app)
{
	rule_start_touch(&app->rule, app->touches, app->touch_count);
	app->touch_count = 0;
}

/* ---- Reading the request ------------------------------------------------------------------------------------ */

const struct ones_session *ones_session(const struct ones_request *req)
{
	return req->verdict.live ? &req->verdict.session : NULL;
}

const struct ones_ending *ones_ending(const struct ones_request *req)
{
	return &req->ending;
}

enum ones_method ones_method(const struct ones_request *req)
{
	return req->http->method;
}

bool ones_is_authorizer(const struct ones_request *req)
{
	return req->http->is_authorizer;
}

bool ones_is_program(const struct ones_request *req)
{
	return req->http->is_program;
}

const char *ones_query(const struct ones_request *req, const char *name)
{
	return req->http->query != NULL ? urlencoded_get(req->http->query, name) : NULL;
}

const char *ones_field(const struct ones_request *req, const char *name)
{
	if (req->http->json != NULL)
		return json_string_value(json_object_get(req->http->json, name));
	return req->http->form != NULL ? urlencoded_get(req->http->form, name) : NULL;
}

bool ones_field_is_true(const struct ones_request *req, const char *name)
{
	const char *text = ones_field(req, name);

	return json_is_true(json_object_get(req->http->json, name)) || (text != NULL && strcmp(text, "true") == 0);
}

const char *ones_path_part(const struct ones_request *req)
{
	return req->path_part;
}

const json_t *ones_json(const struct ones_request *req)
{
	return req->http->json;
}

const char *ones_param(const struct ones_request *req, const char *name)
{
	return fcgi_param(req->http->fcgi, name);
}

bool ones_database_ready(struct ones_request *req)
{
	static const struct db_statement ready = {"ready", "SELECT 1"};

	return db_query(req->app->rule.db, NULL, &ready, NULL, 0, NULL) == DB_OK;
}
