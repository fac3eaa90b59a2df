/* What operators see of jobs: in /status and /metrics. */
#include "api/job_status.h"

#include "api/jobs.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>

/* What is known of one at this moment. */
struct seen {
	int64_t age_ms;     /* of the last run, since it began; -1: there was none */
	int64_t running_ms; /* -1: it does not run */
	int64_t next_ms;    /* until then; -1: it runs, or that is not known */
	uint64_t runs, failures;
	enum job_result result;
};

static struct seen look_at(const struct job_slot *slot)
{
	int64_t now = clock_monotonic_ms();
	int64_t began = job_slot_began_ms(slot);
	int64_t next = job_slot_next_ms(slot);
	bool is_running = atomic_load(&slot->is_running);
	struct seen seen = {
		.age_ms = began != 0 ? now - began : -1,
		.running_ms = is_running ? now - began : -1,
		.next_ms = is_running || next == 0 ? -1 : next - now,
		.result = (enum job_result)(unsigned int)atomic_load(&slot->result),
	};

	if (!is_running && next != 0 && next < now)
		seen.next_ms = 0;
	for (enum job_result result = JOB_RESULT_OK; result < JOB_RESULT_COUNT; result++) {
		uint64_t count = atomic_load(&slot->runs[result]);

		seen.runs += count;
		if (result != JOB_RESULT_OK && result != JOB_RESULT_STOPPED)
			seen.failures += count;
	}
	return seen;
}

static json_t *ms_or_null(int64_t ms)
{
	return ms >= 0 ? json_integer(ms) : json_null();
}

/* `ms` from now, or null when `is_known` is not. */
static json_t *moment_or_null(bool is_known, int64_t ms)
{
	return is_known ? ones_time_json(clock_wall_us() + ms * 1000) : json_null();
}

static json_t *job_json(const struct job *job)
{
	struct seen seen = look_at(job->shown);
	const char *result = job_result_name(seen.result);

	return json_pack("{s:s, s:I, s:b, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", job->declared.name,
	                 "every_ms", (json_int_t)job->declared.every_ms, "on_every_host", job->declared.on_every_host,
	                 "runs", (json_int_t)seen.runs, "failures", (json_int_t)seen.failures, "last_started_at",
	                 moment_or_null(seen.age_ms >= 0, -seen.age_ms), "last_age_ms", ms_or_null(seen.age_ms),
	                 "last_ms", ms_or_null(seen.runs > 0 ? atomic_load(&job->shown->took_ms) : -1), "last_result",
	                 result[0] != '\0' ? json_string(result) : json_null(), "running_ms",
	                 ms_or_null(seen.running_ms), "next_at", moment_or_null(seen.next_ms >= 0, seen.next_ms),
	                 "next_in_ms", ms_or_null(seen.next_ms));
}

json_t *job_status_json(const struct ones_app *app, const struct module *module)
{
	json_t *list = NULL;

	for (size_t i = 0; i < app->job_count; i++) {
		if (app->jobs[i].module != module)
			continue;
		if (list == NULL)
			list = json_array();
		if (json_array_append_new(list, job_json(&app->jobs[i])) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* ---- /metrics ------------------------------------------------------------------------------------------------ */

/* Names of modules and jobs have nothing that would have to be escaped. */
static void put_counts(struct openmetrics *metrics, const struct job *job)
{
	for (enum job_result result = JOB_RESULT_OK; result < JOB_RESULT_COUNT; result++) {
		uint64_t count = atomic_load(&job->shown->runs[result]);

		if (count > 0)
			openmetrics_put(metrics,
			                "onesession_job_runs_total{module=\"%s\",job=\"%s\",result=\"%s\"} %" PRIu64
			                "\n",
			                job->module->name, job->declared.name, job_result_name(result), count);
	}
}

static double last_start_s(const struct job *job)
{
	return (double)clock_wall_us() / 1e6 - (double)look_at(job->shown).age_ms / 1e3;
}

static double last_duration_s(const struct job *job)
{
	return (double)atomic_load(&job->shown->took_ms) / 1e3;
}

static double failed_in_row(const struct job *job)
{
	return (double)atomic_load(&job->shown->failed);
}

static double is_running(const struct job *job)
{
	return atomic_load(&job->shown->is_running) ? 1 : 0;
}

static bool has_run(const struct job *job)
{
	return look_at(job->shown).runs > 0;
}

void job_status_metrics(const struct ones_app *app, struct openmetrics *metrics)
{
	static const struct {
		const char *name, *help;
		double (*value)(const struct job *job);
	} gauges[] = {
		{"job_last_start_seconds", "When the last run on this host began, in seconds since 1970.",
	         last_start_s},
		{"job_last_duration_seconds", "How long the last run on this host took.", last_duration_s},
		{"job_failures_in_row", "Runs on this host that have failed since one went well.", failed_in_row},
		{"job_running", "Whether it runs on this host.", is_running},
	};
	bool is_any = false;

	for (size_t i = 0; i < app->job_count; i++)
		is_any = is_any || has_run(&app->jobs[i]);
	if (!is_any)
		return;
	openmetrics_family(metrics, "job_runs", "_total", "counter", "Runs of jobs on this host, by how they ended.");
	for (size_t i = 0; i < app->job_count; i++)
		put_counts(metrics, &app->jobs[i]);
	for (size_t at = 0; at < sizeof gauges / sizeof gauges[0]; at++) {
		openmetrics_family(metrics, gauges[at].name, "", "gauge", gauges[at].help);
		for (size_t i = 0; i < app->job_count; i++) {
			if (has_run(&app->jobs[i]))
				openmetrics_put(metrics, "onesession_%s{module=\"%s\",job=\"%s\"} %.3f\n",
				                gauges[at].name, app->jobs[i].module->name, app->jobs[i].declared.name,
				                gauges[at].value(&app->jobs[i]));
		}
	}
}
