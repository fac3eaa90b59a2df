/* What operators see: the pool's state as JSON, and what is counted as OpenMetrics text. */
#include "api/module.h"
#include "api/reply.h"
#include "base/clock.h"
#include "base/version.h"
#include "session/schema.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* ---- /status ------------------------------------------------------------------------------------------------ */

static const char *const method_names[ONES_METHOD_COUNT + 1] = {
	[ONES_METHOD_GET] = "GET",     [ONES_METHOD_POST] = "POST",     [ONES_METHOD_PUT] = "PUT",
	[ONES_METHOD_PATCH] = "PATCH", [ONES_METHOD_DELETE] = "DELETE", [ONES_METHOD_OPTIONS] = "OPTIONS",
	[ONES_METHOD_COUNT] = "OTHER",
};

static const char *method_name(const struct process_slot *slot)
{
	unsigned int method = (unsigned int)atomic_load(&slot->method);

	return method_names[method < ONES_METHOD_COUNT ? method : ONES_METHOD_COUNT];
}

static json_t *request_json(const struct ones_app *app, const struct process_slot *slot)
{
	struct route_name_copy name;
	const struct module *module;

	if (!route_names_get(&app->board->routes, atomic_load(&slot->route), &name))
		return json_sprintf("%s (other)", method_name(slot));
	module = module_find(app, name.module);
	return json_sprintf("%s %s%s", method_name(slot), module != NULL ? module->prefix : "", name.path);
}

static json_t *worker_json(const struct ones_app *app, size_t number)
{
	struct process_slot *slot = &app->board->processes.slots[number];
	int64_t now = clock_monotonic_ms();
	int64_t began = atomic_load(&slot->request_began_ms);

	return json_pack("{s:I, s:I, s:s, s:s, s:o, s:o, s:I, s:I}", "worker", (json_int_t)number, "pid",
	                 (json_int_t)atomic_load(&slot->pid), "role",
	                 process_role_name((enum process_role)(unsigned int)atomic_load(&slot->role)), "state",
	                 worker_state_name((enum worker_state)(unsigned int)atomic_load(&slot->state)), "request",
	                 began != 0 ? request_json(app, slot) : json_null(), "request_age_ms",
	                 began != 0 ? json_integer(now - began) : json_null(), "requests",
	                 (json_int_t)atomic_load(&slot->requests), "age_ms",
	                 (json_int_t)(now - atomic_load(&slot->started_ms)));
}

/* What the routes of a module have answered, since the daemon was started. */
struct module_counts {
	uint64_t requests, errors, duration_us;
};

static struct module_counts counts_of(const struct ones_app *app, const struct module *module)
{
	static const int statuses[COUNTERS_STATUS_COUNT - 1] = COUNTERS_STATUSES;
	struct module_counts counts = {0};

	for (size_t route = 0; route < COUNTERS_ROUTES_MAX; route++) {
		const struct route_counters *counters = &app->board->counters.routes[route];
		struct route_name_copy name;

		if (!route_names_get(&app->board->routes, route, &name) || strcmp(name.module, module->name) != 0)
			continue;
		counts.duration_us += atomic_load(&counters->duration_us);
		for (size_t at = 0; at < COUNTERS_STATUS_COUNT; at++) {
			uint64_t count = atomic_load(&counters->by_status[at]);

			counts.requests += count;
			counts.errors += at < COUNTERS_STATUS_COUNT - 1 && statuses[at] >= 500 ? count : 0;
		}
	}
	return counts;
}

static json_t *modules_json(const struct ones_app *app)
{
	json_t *list = json_array();

	for (size_t i = 0; i < app->module_count; i++) {
		const struct module *module = app->modules[i];
		struct module_counts counts = counts_of(app, module);

		if (json_array_append_new(list,
		                          json_pack("{s:s, s:s, s:I, s:s, s:I, s:I, s:f}", "name", module->name,
		                                    "version", module->version, "abi", (json_int_t)module->abi,
		                                    "prefix", module->prefix, "requests", (json_int_t)counts.requests,
		                                    "errors", (json_int_t)counts.errors, "seconds",
		                                    (double)counts.duration_us / 1e6)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_int_t counted(const struct ones_app *app, enum counter counter)
{
	return (json_int_t)atomic_load(&app->board->counters.all[counter]);
}

json_t *ones_status_json(struct ones_request *req)
{
	const struct ones_app *app = req->app;
	json_t *workers = json_array();

	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		if (atomic_load(&app->board->processes.slots[i].pid) != 0 &&
		    atomic_load(&app->board->processes.slots[i].role) != ROLE_HASHER &&
		    json_array_append_new(workers, worker_json(app, i)) != 0) {
			json_decref(workers);
			return NULL;
		}
	}
	return json_pack("{s:s, s:I, s:o, s:I, s:{s:I, s:I}, s:{s:I, s:I, s:I, s:I, s:I}, s:o, s:o}", "version",
	                 ONESESSION_VERSION, "pid", (json_int_t)app->board->master.pid, "started_at",
	                 ones_time_json(app->board->master.started_us), "uptime_ms",
	                 (json_int_t)(clock_monotonic_ms() - app->board->master.started_ms), "hashing", "in_use",
	                 (json_int_t)atomic_load(&app->board->hashing.in_use), "slots",
	                 (json_int_t)app->settings->login.max_hashing, "counts", "worker_starts",
	                 counted(app, COUNTER_WORKER_STARTS), "worker_deaths", counted(app, COUNTER_WORKER_DEATHS),
	                 "worker_timeouts", counted(app, COUNTER_WORKER_TIMEOUTS), "reloads",
	                 counted(app, COUNTER_RELOADS), "reloads_refused", counted(app, COUNTER_RELOADS_REFUSED),
	                 "modules", modules_json(app), "workers", workers);
}

/* ---- /ready ------------------------------------------------------------------------------------------------- */

json_t *ones_database_warnings(struct ones_request *req)
{
	json_t *warnings = json_array();
	struct sequence_list behind;

	if (schema_sequences_behind(req->app->rule.db, req, &behind) != DB_OK)
		return warnings;
	for (size_t i = 0; i < behind.count; i++) {
		if (json_array_append_new(warnings, json_string(schema_sequence_problem(req, &behind.all[i]))) != 0) {
			json_decref(warnings);
			return NULL;
		}
	}
	return warnings;
}

/* ---- /metrics ----------------------------------------------------------------------------------------------- */

/*
 * OpenMetrics and Prometheus' text format differ in how counters' families are named: in the latter as their samples
 * are. A client that asks for neither gets text that is right in both, for it leaves the type of counters out.
 */
enum format { FORMAT_EITHER, FORMAT_OPENMETRICS, FORMAT_PROMETHEUS };

/* The text so far; NULL once memory has run out. */
struct metrics {
	const struct ones_app *app;
	char *text;
	enum format format;
};

static enum format format_for(const char *accept)
{
	if (accept != NULL && strstr(accept, "application/openmetrics-text") != NULL)
		return FORMAT_OPENMETRICS;
	return accept != NULL && strstr(accept, "text/plain") != NULL ? FORMAT_PROMETHEUS : FORMAT_EITHER;
}

__attribute__((format(printf, 2, 3))) static void put(struct metrics *metrics, const char *format, ...)
{
	va_list arguments;

	if (metrics->text == NULL)
		return;
	va_start(arguments, format);
	metrics->text = talloc_vasprintf_append_buffer(metrics->text, format, arguments);
	va_end(arguments);
}

/* `suffix` is what samples have behind the family's name, in OpenMetrics: "_total", "_info" or nothing. */
static void put_family(struct metrics *metrics, const char *name, const char *suffix, const char *type,
                       const char *help)
{
	bool is_openmetrics = metrics->format == FORMAT_OPENMETRICS;
	const char *shown = is_openmetrics ? "" : suffix;

	/* Prometheus' text format has no type info. */
	if (!is_openmetrics && strcmp(type, "info") == 0)
		type = "gauge";
	if (metrics->format != FORMAT_EITHER || strcmp(type, "counter") != 0)
		put(metrics, "# TYPE onesession_%s%s %s\n", name, shown, type);
	if (is_openmetrics && strstr(name, "_seconds") != NULL)
		put(metrics, "# UNIT onesession_%s seconds\n", name);
	put(metrics, "# HELP onesession_%s%s %s\n", name, shown, help);
}

static void put_gauge(struct metrics *metrics, const char *name, int64_t value, const char *help)
{
	put_family(metrics, name, "", "gauge", help);
	put(metrics, "onesession_%s %" PRId64 "\n", name, value);
}

static void put_counters(struct metrics *metrics)
{
	static const struct {
		enum counter counter;
		const char *name;
		const char *help;
	} counters[] = {
		{COUNTER_LOGINS, "logins", "Logins that succeeded."},
		{COUNTER_LOGIN_FAILURES, "login_failures", "Logins with an unknown name or a wrong password."},
		{COUNTER_LOGOUTS, "logouts", "Sessions that ended by a logout."},
		{COUNTER_DISPLACEMENTS, "displacements",
	         "Sessions that ended because their account signed in elsewhere."},
		{COUNTER_SHARED_ACCOUNTS, "shared_accounts", "Accounts found to be shared."},
		{COUNTER_PASSWORD_CHANGES, "password_changes", "Passwords changed by the account's user."},
		{COUNTER_THROTTLED, "throttled", "Requests refused for the moment (429, or 503 busy)."},
		{COUNTER_DATABASE_ROUND_TRIPS, "database_round_trips", "Exchanges with the database."},
		{COUNTER_DATABASE_ERRORS, "database_errors", "Exchanges and connections that failed."},
		{COUNTER_WORKER_STARTS, "worker_starts", "Workers started, fallback workers included."},
		{COUNTER_WORKER_DEATHS, "worker_deaths", "Workers that ended unexpectedly."},
		{COUNTER_WORKER_TIMEOUTS, "worker_timeouts", "Workers killed for a request past its deadline."},
		{COUNTER_RELOADS, "reloads", "Configurations taken over while running."},
		{COUNTER_RELOADS_REFUSED, "reloads_refused", "Configurations refused while running."},
	};

	static_assert(sizeof counters / sizeof counters[0] == COUNTER_COUNT, "a counter is not shown");
	for (size_t i = 0; i < COUNTER_COUNT; i++) {
		put_family(metrics, counters[i].name, "_total", "counter", counters[i].help);
		put(metrics, "onesession_%s_total %" PRIu64 "\n", counters[i].name,
		    atomic_load(&metrics->app->board->counters.all[counters[i].counter]));
	}
}

/* A label's value: what would end it, or the line, is not taken as it is. */
static void escape_label(const char *text, char *out, size_t size)
{
	size_t used = 0;

	for (; *text != '\0' && used + 2 < size; text++) {
		if (*text == '"' || *text == '\\')
			out[used++] = '\\';
		out[used++] = *text;
	}
	out[used] = '\0';
}

/* Twice a path, when every character is escaped, and what is around it. */
#define ROUTE_LABELS_SIZE (2 * ROUTE_NAME_PATH_SIZE + MODULE_NAME_SIZE + 32)

/* The daemon's own routes have no label "module". */
static void write_labels(const struct ones_app *app, size_t route, char labels[ROUTE_LABELS_SIZE])
{
	char path[2 * ROUTE_NAME_PATH_SIZE];
	struct route_name_copy name;

	if (!route_names_get(&app->board->routes, route, &name))
		(void)snprintf(name.path, sizeof name.path, "other");
	escape_label(name.path, path, sizeof path);
	if (name.module[0] == '\0' || strcmp(name.module, MODULE_SESSION) == 0)
		(void)snprintf(labels, ROUTE_LABELS_SIZE, "route=\"%s\"", path);
	else
		(void)snprintf(labels, ROUTE_LABELS_SIZE, "module=\"%s\",route=\"%s\"", name.module, path);
}

static void put_requests(struct metrics *metrics)
{
	static const int statuses[COUNTERS_STATUS_COUNT - 1] = COUNTERS_STATUSES;

	put_family(metrics, "requests", "_total", "counter", "Requests answered.");
	for (size_t route = 0; route <= COUNTERS_ROUTES_MAX; route++) {
		char labels[ROUTE_LABELS_SIZE];

		/* Most have none. */
		labels[0] = '\0';
		for (size_t at = 0; at < COUNTERS_STATUS_COUNT; at++) {
			uint64_t count = atomic_load(&metrics->app->board->counters.routes[route].by_status[at]);

			if (count == 0)
				continue;
			if (labels[0] == '\0')
				write_labels(metrics->app, route, labels);
			put(metrics, "onesession_requests_total{%s,status=\"", labels);
			if (at < COUNTERS_STATUS_COUNT - 1)
				put(metrics, "%d\"} %" PRIu64 "\n", statuses[at], count);
			else
				put(metrics, "other\"} %" PRIu64 "\n", count);
		}
	}
}

static void put_durations_of(struct metrics *metrics, size_t route)
{
	struct route_counters *counters = &metrics->app->board->counters.routes[route];
	char labels[ROUTE_LABELS_SIZE];
	static const int64_t bounds[COUNTERS_BOUND_COUNT] = COUNTERS_BOUNDS_US;
	uint64_t sum = 0;

	for (size_t at = 0; at <= COUNTERS_BOUND_COUNT; at++)
		sum += atomic_load(&counters->by_duration[at]);
	if (sum == 0)
		return;
	write_labels(metrics->app, route, labels);
	sum = 0;
	for (size_t at = 0; at < COUNTERS_BOUND_COUNT; at++) {
		sum += atomic_load(&counters->by_duration[at]);
		/* Bounds are labels, which are compared as text: OpenMetrics writes a whole one as 1.0. */
		put(metrics, "onesession_request_duration_seconds_bucket{%s,le=\"%g%s\"} %" PRIu64 "\n", labels,
		    (double)bounds[at] / 1e6, bounds[at] % 1000000 == 0 ? ".0" : "", sum);
	}
	sum += atomic_load(&counters->by_duration[COUNTERS_BOUND_COUNT]);
	put(metrics, "onesession_request_duration_seconds_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", labels, sum);
	put(metrics, "onesession_request_duration_seconds_sum{%s} %.6f\n", labels,
	    (double)atomic_load(&counters->duration_us) / 1e6);
	put(metrics, "onesession_request_duration_seconds_count{%s} %" PRIu64 "\n", labels, sum);
}

static void put_durations(struct metrics *metrics)
{
	put_family(metrics, "request_duration_seconds", "", "histogram",
	           "From the web server's connection to the end of the answer.");
	for (size_t route = 0; route <= COUNTERS_ROUTES_MAX; route++)
		put_durations_of(metrics, route);
}

static void put_modules(struct metrics *metrics)
{
	const struct ones_app *app = metrics->app;

	put_family(metrics, "module", "_info", "info", "The modules that are loaded, the daemon's own among them.");
	for (size_t i = 0; i < app->module_count; i++) {
		char version[MODULE_VERSION_SIZE * 2];

		escape_label(app->modules[i]->version, version, sizeof version);
		put(metrics, "onesession_module_info{module=\"%s\",version=\"%s\",abi=\"%u\"} 1\n",
		    app->modules[i]->name, version, app->modules[i]->abi);
	}
}

static void put_workers(struct metrics *metrics)
{
	size_t by_state[WORKER_STATE_COUNT] = {0};

	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		const struct process_slot *slot = &metrics->app->board->processes.slots[i];
		unsigned int state = (unsigned int)atomic_load(&slot->state);

		if (atomic_load(&slot->pid) != 0 &&
		    process_role_is_worker((enum process_role)(unsigned int)atomic_load(&slot->role)) &&
		    state < WORKER_STATE_COUNT)
			by_state[state]++;
	}
	put_family(metrics, "workers", "", "gauge", "Workers by what they do at this moment.");
	for (int state = WORKER_STARTING; state < WORKER_STATE_COUNT; state++)
		put(metrics, "onesession_workers{state=\"%s\"} %zu\n", worker_state_name((enum worker_state)state),
		    by_state[state]);
}

void ones_reply_metrics(struct ones_request *req)
{
	struct metrics metrics = {
		.app = req->app,
		.text = talloc_strdup(req, ""),
		.format = format_for(ones_param(req, "HTTP_ACCEPT")),
	};
	int64_t live = atomic_load(&req->app->board->live.sessions);

	/* Counted by a process of its own, again and again as long as this route is asked. */
	atomic_store(&req->app->board->live.requested_ms, clock_monotonic_ms());

	put_requests(&metrics);
	put_durations(&metrics);
	put_modules(&metrics);
	put_counters(&metrics);
	if (live >= 0)
		put_gauge(&metrics, "live_sessions", live, "Sessions that are live, over all hosts.");
	put_gauge(&metrics, "hashing_places", req->app->settings->login.max_hashing,
	          "Passwords that may be hashed at the same time.");
	put_gauge(&metrics, "hashing_in_use", (int64_t)atomic_load(&req->app->board->hashing.in_use),
	          "Passwords that are being hashed.");
	put_gauge(&metrics, "hashing_waiting", (int64_t)atomic_load(&req->app->board->hashing.waiting),
	          "Logins that wait for their password to be hashed.");
	put_workers(&metrics);
	put_gauge(&metrics, "start_time_seconds", req->app->board->master.started_us / 1000000,
	          "When the daemon was started, in seconds since 1970.");
	put_family(&metrics, "build", "_info", "info", "The version of the daemon.");
	put(&metrics, "onesession_build_info{version=\"" ONESESSION_VERSION "\"} 1\n# EOF\n");
	if (metrics.text == NULL) {
		exchange_fail(req, "out of memory for the metrics");
		return;
	}
	ones_header(req, "Vary", "Accept");
	reply_body(req, 200,
	           metrics.format == FORMAT_PROMETHEUS ? "text/plain; version=0.0.4; charset=utf-8"
	                                               : "application/openmetrics-text; version=1.0.0; charset=utf-8",
	           metrics.text, strlen(metrics.text));
}
