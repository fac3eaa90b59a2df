/* What operators see: the pool's state as JSON, and what is counted as OpenMetrics text. */
#include "api/job_status.h"
#include "api/mail_log.h"
#include "api/module.h"
#include "api/openmetrics.h"
#include "api/services.h"
#include "api/reply.h"
#include "api/webhook_log.h"
#include "base/clock.h"
#include "base/version.h"
#include "session/schema.h"

#include <assert.h>
#include <inttypes.h>
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
	                 (json_int_t)atomic_load(&slot->pid), "role", process_role_name(process_slot_role(slot)),
	                 "state", worker_state_name((enum worker_state)(unsigned int)atomic_load(&slot->state)),
	                 "request", began != 0 ? request_json(app, slot) : json_null(), "request_age_ms",
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

		if (json_array_append_new(
			    list,
			    json_pack("{s:s, s:s, s:I, s:s, s:I, s:I, s:f, s:o*, s:o*}", "name", module->name,
		                      "version", module->version, "abi", (json_int_t)ONES_ABI, "prefix", module->prefix,
		                      "requests", (json_int_t)counts.requests, "errors", (json_int_t)counts.errors,
		                      "seconds", (double)counts.duration_us / 1e6, "jobs", job_status_json(app, module),
		                      "services", services_json(app, module))) != 0) {
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

/* The hasher and the process for jobs do not. */
static bool serves(const struct process_slot *slot)
{
	enum process_role role = process_slot_role(slot);

	return atomic_load(&slot->pid) != 0 && (process_role_is_worker(role) || role == ROLE_FALLBACK);
}

json_t *ones_status_json(struct ones_request *req)
{
	const struct ones_app *app = req->app;
	json_t *workers = json_array();

	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		if (serves(&app->board->processes.slots[i]) &&
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

/* The text so far, and what it is about. */
struct metrics {
	const struct ones_app *app;
	struct openmetrics out;
};

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
		{COUNTER_CONFIRMATIONS, "confirmations", "Identities confirmed anew by a signed-in account's user."},
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
		openmetrics_family(&metrics->out, counters[i].name, "_total", "counter", counters[i].help);
		openmetrics_put(&metrics->out, "onesession_%s_total %" PRIu64 "\n", counters[i].name,
		                atomic_load(&metrics->app->board->counters.all[counters[i].counter]));
	}
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
	openmetrics_escape(name.path, path, sizeof path);
	if (name.module[0] == '\0' || strcmp(name.module, MODULE_SESSION) == 0)
		(void)snprintf(labels, ROUTE_LABELS_SIZE, "route=\"%s\"", path);
	else
		(void)snprintf(labels, ROUTE_LABELS_SIZE, "module=\"%s\",route=\"%s\"", name.module, path);
}

static void put_requests(struct metrics *metrics)
{
	static const int statuses[COUNTERS_STATUS_COUNT - 1] = COUNTERS_STATUSES;

	openmetrics_family(&metrics->out, "requests", "_total", "counter", "Requests answered.");
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
			openmetrics_put(&metrics->out, "onesession_requests_total{%s,status=\"", labels);
			if (at < COUNTERS_STATUS_COUNT - 1)
				openmetrics_put(&metrics->out, "%d\"} %" PRIu64 "\n", statuses[at], count);
			else
				openmetrics_put(&metrics->out, "other\"} %" PRIu64 "\n", count);
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
		openmetrics_put(&metrics->out,
		                "onesession_request_duration_seconds_bucket{%s,le=\"%g%s\"} %" PRIu64 "\n", labels,
		                (double)bounds[at] / 1e6, bounds[at] % 1000000 == 0 ? ".0" : "", sum);
	}
	sum += atomic_load(&counters->by_duration[COUNTERS_BOUND_COUNT]);
	openmetrics_put(&metrics->out, "onesession_request_duration_seconds_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n",
	                labels, sum);
	openmetrics_put(&metrics->out, "onesession_request_duration_seconds_sum{%s} %.6f\n", labels,
	                (double)atomic_load(&counters->duration_us) / 1e6);
	openmetrics_put(&metrics->out, "onesession_request_duration_seconds_count{%s} %" PRIu64 "\n", labels, sum);
}

static void put_durations(struct metrics *metrics)
{
	openmetrics_family(&metrics->out, "request_duration_seconds", "", "histogram",
	                   "From the web server's connection to the end of the answer.");
	for (size_t route = 0; route <= COUNTERS_ROUTES_MAX; route++)
		put_durations_of(metrics, route);
}

static void put_modules(struct metrics *metrics)
{
	const struct ones_app *app = metrics->app;

	openmetrics_family(&metrics->out, "module", "_info", "info",
	                   "The modules that are loaded, the daemon's own among them.");
	for (size_t i = 0; i < app->module_count; i++) {
		char version[MODULE_VERSION_SIZE * 2];

		openmetrics_escape(app->modules[i]->version, version, sizeof version);
		openmetrics_put(&metrics->out, "onesession_module_info{module=\"%s\",version=\"%s\",abi=\"%d\"} 1\n",
		                app->modules[i]->name, version, ONES_ABI);
	}
}

static void put_workers(struct metrics *metrics)
{
	size_t by_state[WORKER_STATE_COUNT] = {0};

	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		const struct process_slot *slot = &metrics->app->board->processes.slots[i];
		unsigned int state = (unsigned int)atomic_load(&slot->state);

		if (atomic_load(&slot->pid) != 0 && process_role_is_worker(process_slot_role(slot)) &&
		    state < WORKER_STATE_COUNT)
			by_state[state]++;
	}
	openmetrics_family(&metrics->out, "workers", "", "gauge", "Workers by what they do at this moment.");
	for (int state = WORKER_STARTING; state < WORKER_STATE_COUNT; state++)
		openmetrics_put(&metrics->out, "onesession_workers{state=\"%s\"} %zu\n",
		                worker_state_name((enum worker_state)state), by_state[state]);
}

void ones_reply_metrics(struct ones_request *req)
{
	struct metrics metrics = {
		.app = req->app,
		.out = openmetrics_new(req, ones_param(req, "HTTP_ACCEPT")),
	};
	int64_t live = atomic_load(&req->app->board->live.sessions);

	/* Counted by a process of its own, again and again as long as this route is asked. */
	atomic_store(&req->app->board->live.requested_ms, clock_monotonic_ms());

	put_requests(&metrics);
	put_durations(&metrics);
	put_modules(&metrics);
	job_status_metrics(req->app, &metrics.out);
	services_metrics(req->app, &metrics.out);
	mail_log_metrics(req->app, &metrics.out);
	webhook_log_metrics(req->app, &metrics.out);
	put_counters(&metrics);
	if (live >= 0)
		openmetrics_gauge(&metrics.out, "live_sessions", live, "Sessions that are live, over all hosts.");
	openmetrics_gauge(&metrics.out, "hashing_places", req->app->settings->login.max_hashing,
	                  "Passwords that may be hashed at the same time.");
	openmetrics_gauge(&metrics.out, "hashing_in_use", (int64_t)atomic_load(&req->app->board->hashing.in_use),
	                  "Passwords that are being hashed.");
	openmetrics_gauge(&metrics.out, "hashing_waiting", (int64_t)atomic_load(&req->app->board->hashing.waiting),
	                  "Logins that wait for their password to be hashed.");
	put_workers(&metrics);
	openmetrics_gauge(&metrics.out, "start_time_seconds", req->app->board->master.started_us / 1000000,
	                  "When the daemon was started, in seconds since 1970.");
	openmetrics_family(&metrics.out, "build", "_info", "info", "The version of the daemon.");
	openmetrics_put(&metrics.out, "onesession_build_info{version=\"" ONESESSION_VERSION "\"} 1\n# EOF\n");
	if (metrics.out.text == NULL) {
		exchange_fail(req, "out of memory for the metrics");
		return;
	}
	ones_header(req, "Vary", "Accept");
	reply_body(req, 200,
	           metrics.out.format == FORMAT_PROMETHEUS
	                   ? "text/plain; version=0.0.4; charset=utf-8"
	                   : "application/openmetrics-text; version=1.0.0; charset=utf-8",
	           metrics.out.text, strlen(metrics.out.text));
}
