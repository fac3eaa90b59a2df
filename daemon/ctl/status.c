/* onesessionctl status: what the daemon's workers are doing. */
#include "ctl/fcgi_client.h"
#include "ctl/output.h"
#include "ctl/table.h"
#include "session/schema.h"

#include <stdlib.h>
#include <string.h>

static int64_t number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));

	return value != NULL ? value : "";
}

/* "4d 3h", "3h 20m", "20m 7s", "7.2s", "85ms": two parts are enough for people. */
static const char *duration(TALLOC_CTX *ctx, int64_t ms)
{
	long long s = ms / 1000;

	if (ms < 1000)
		return talloc_asprintf(ctx, "%lldms", (long long)ms);
	if (s < 60)
		return talloc_asprintf(ctx, "%lld.%llds", s, (long long)ms % 1000 / 100);
	if (s < 3600)
		return talloc_asprintf(ctx, "%lldm %llds", s / 60, s % 60);
	if (s < 86400)
		return talloc_asprintf(ctx, "%lldh %lldm", s / 3600, s / 60 % 60);
	return talloc_asprintf(ctx, "%lldd %lldh", s / 86400, s / 3600 % 24);
}

/*
 * What is wrong with the database, a sentence each. *why is the reason when it could not be asked, else NULL. On
 * `ctl->ctx`.
 */
static json_t *database_warnings(const struct ctl *ctl, const char **why)
{
	json_t *warnings = json_array();
	struct sequence_list behind = {0};
	enum db_status status = db_connect(ctl->db);

	if (status == DB_OK)
		status = schema_sequences_behind(ctl->db, ctl->ctx, &behind);
	*why = status != DB_OK ? db_problem(ctl->db) : NULL;
	for (size_t i = 0; i < behind.count; i++)
		(void)json_array_append_new(warnings, json_string(schema_sequence_problem(ctl->ctx, &behind.all[i])));
	return warnings;
}

static void show_warnings(const struct ctl *ctl)
{
	const json_t *warning;
	const char *why;
	size_t at;
	json_t *warnings = database_warnings(ctl, &why);

	if (why != NULL)
		(void)output_line("database: cannot be asked (onesessiond -t tells why)");
	json_array_foreach(warnings, at, warning)
	{
		(void)output_line("database: %s", json_string_value(warning));
	}
	json_decref(warnings);
}

static void show_services(TALLOC_CTX *ctx, const json_t *module)
{
	const json_t *service;
	size_t at;

	json_array_foreach(json_object_get(module, "services"), at, service)
	{
		double seconds = json_real_value(json_object_get(service, "seconds"));

		(void)output_line("service %s.%s: calls %lld, without an answer %lld, time %s", text(module, "name"),
		                  text(service, "name"), (long long)number(service, "requests"),
		                  (long long)number(service, "errors"), duration(ctx, (int64_t)(seconds * 1000)));
	}
}

/* The first is the daemon's own, whose requests the workers' table has. */
static void show_modules(TALLOC_CTX *ctx, const json_t *status)
{
	const json_t *module;
	size_t at;

	json_array_foreach(json_object_get(status, "modules"), at, module)
	{
		double seconds = json_real_value(json_object_get(module, "seconds"));

		if (at > 0)
			(void)output_line("module %s %s (ABI %lld): requests %lld, errors %lld, time %s",
			                  text(module, "name"), text(module, "version"),
			                  (long long)number(module, "abi"), (long long)number(module, "requests"),
			                  (long long)number(module, "errors"),
			                  duration(ctx, (int64_t)(seconds * 1000)));
		show_services(ctx, module);
	}
}

static const char *duration_or_nothing(TALLOC_CTX *ctx, const json_t *ms)
{
	return json_is_integer(ms) ? duration(ctx, json_integer_value(ms)) : "";
}

static void add_job(struct table *table, const json_t *module, const json_t *job)
{
	const json_t *running = json_object_get(job, "running_ms");
	const char *result = json_is_integer(running) ? "running" : text(job, "last_result");
	const char *took =
		duration_or_nothing(table, json_is_integer(running) ? running : json_object_get(job, "last_ms"));

	table_cell(table, talloc_asprintf(table, "%s.%s", text(module, "name"), text(job, "name")));
	table_cell(table, duration(table, number(job, "every_ms")));
	table_cell(table, json_is_true(json_object_get(job, "on_every_host")) ? "every" : "one");
	table_cell(table, talloc_asprintf(table, "%lld", (long long)number(job, "runs")));
	table_cell(table, talloc_asprintf(table, "%lld", (long long)number(job, "failures")));
	table_cell(table, duration_or_nothing(table, json_object_get(job, "last_age_ms")));
	table_cell(table, took);
	table_cell(table, result);
	table_cell(table, duration_or_nothing(table, json_object_get(job, "next_in_ms")));
}

/* What has run on this host, how long ago, and when it is looked at next; the table `jobs` of the database has all of
 * them. */
static int show_jobs(const struct ctl *ctl, const json_t *status)
{
	static const struct table_column columns[] = {
		{.title = "JOB", .shrinks = true},
		{.title = "EVERY", .right = true},
		{.title = "HOSTS"},
		{.title = "RUNS", .right = true},
		{.title = "FAILED", .right = true},
		{.title = "LAST", .right = true},
		{.title = "TOOK", .right = true},
		{.title = "RESULT"},
		{.title = "NEXT", .right = true},
	};
	struct table *table = table_new(ctl->ctx, columns, sizeof columns / sizeof columns[0]);
	const json_t *module, *job;
	size_t count = 0, i, j;

	if (table == NULL)
		return -1;
	json_array_foreach(json_object_get(status, "modules"), i, module)
	{
		json_array_foreach(json_object_get(module, "jobs"), j, job)
		{
			add_job(table, module, job);
			count++;
		}
	}
	return count == 0 ? 0 : table_print(table, stdout);
}

static int show(const struct ctl *ctl, const json_t *status)
{
	static const struct table_column columns[] = {
		{.title = "WORKER", .right = true},
		{.title = "PID", .right = true},
		{.title = "ROLE"},
		{.title = "STATE"},
		{.title = "UP", .right = true},
		{.title = "REQUESTS", .right = true},
		{.title = "AGE", .right = true},
		{.title = "REQUEST", .shrinks = true},
	};
	struct table *table = table_new(ctl->ctx, columns, sizeof columns / sizeof columns[0]);
	const json_t *counts = json_object_get(status, "counts");
	const json_t *hashing = json_object_get(status, "hashing");
	const json_t *worker;
	size_t at;

	if (table == NULL)
		return fail("out of memory");
	(void)output_line("onesessiond %s, process %lld, up %s", text(status, "version"),
	                  (long long)number(status, "pid"), duration(table, number(status, "uptime_ms")));
	(void)output_line("workers started %lld, died %lld, killed for an overdue request %lld",
	                  (long long)number(counts, "worker_starts"), (long long)number(counts, "worker_deaths"),
	                  (long long)number(counts, "worker_timeouts"));
	(void)output_line("reloads %lld, refused %lld; hash slots in use %lld of %lld",
	                  (long long)number(counts, "reloads"), (long long)number(counts, "reloads_refused"),
	                  (long long)number(hashing, "in_use"), (long long)number(hashing, "slots"));
	show_modules(table, status);
	show_warnings(ctl);
	if (show_jobs(ctl, status) != 0)
		return fail("out of memory");
	json_array_foreach(json_object_get(status, "workers"), at, worker)
	{
		const json_t *age = json_object_get(worker, "request_age_ms");

		table_cell(table, talloc_asprintf(table, "%lld", (long long)number(worker, "worker")));
		table_cell(table, talloc_asprintf(table, "%lld", (long long)number(worker, "pid")));
		table_cell(table, text(worker, "role"));
		table_cell(table, text(worker, "state"));
		table_cell(table, duration(table, number(worker, "age_ms")));
		table_cell(table, talloc_asprintf(table, "%lld", (long long)number(worker, "requests")));
		table_cell(table, duration_or_nothing(table, age));
		table_cell(table, text(worker, "request"));
	}
	return table_print(table, stdout) == 0 ? EXIT_SUCCESS : fail("out of memory");
}

int command_status(struct ctl *ctl)
{
	char problem[256];
	char *body = fcgi_client_get(ctl->ctx, &ctl->settings, "/status", problem, sizeof problem);
	json_t *status, *warnings;
	const char *why;
	int result;

	if (body == NULL)
		return fail("%s", problem);
	status = json_loads(body, 0, NULL);
	if (!json_is_array(json_object_get(status, "workers"))) {
		json_decref(status);
		return fail("what answers at server.listen is not onesessiond");
	}
	if (ctl->json) {
		warnings = database_warnings(ctl, &why);
		if (why != NULL)
			(void)json_array_append_new(warnings, json_sprintf("the database cannot be asked: %s", why));
		(void)json_object_set_new(status, "database_warnings", warnings);
		return output_json(status);
	}
	result = show(ctl, status);
	json_decref(status);
	return result;
}
