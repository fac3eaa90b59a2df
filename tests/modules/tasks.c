/*
 * A module of jobs, for tests. The settings tick, local, other and late declare a job of that name, which does what the
 * value says: ok, fail, wait MS, crash, loop, exit STATUS, _exit STATUS, emit (a signal), remove NAME (a file of the
 * folder in the setting "folder"), or check, which fails while there is a row in tasks.broken. Each run is a row of
 * tasks.runs, with its beginning and its end. "local" runs on every host, "late" each hour. "many = red 40 ok" declares
 * the jobs red_0 to red_39, which do that. The settings every and timeout are milliseconds of all of them.
 */
#include "onesession.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOBS 64

static enum ones_result crash(void)
{
	(void)raise(SIGSEGV);
	return ONES_RESULT_FAILED;
}

static enum ones_result loop(void)
{
	for (volatile int again = 1; again;)
		;
	return ONES_RESULT_FAILED;
}

static enum ones_result check(struct ones_db *db)
{
	struct ones_rows *rows;
	enum ones_result result = ones_sql(db, &rows, "SELECT FROM tasks.broken", NULL, 0);

	if (result != ONES_RESULT_OK)
		return result;
	return ones_rows_count(rows) > 0 ? ONES_RESULT_FAILED : ONES_RESULT_OK;
}

static enum ones_result emit(struct ones_db *db, void *context)
{
	(void)context;
	return ones_emit(db, "tasks.done", json_pack("{s:s}", "what", "emit"));
}

static bool hear(const struct ones_event *event, void *context)
{
	(void)context;
	ones_log("task_heard", "%s %s", event->name, json_string_value(json_object_get(event->data, "what")));
	return true;
}

static enum ones_result act(struct ones_db *db, const char *what)
{
	if (strcmp(what, "emit") == 0)
		return ones_transact(db, emit, NULL);
	if (strcmp(what, "crash") == 0)
		return crash();
	if (strcmp(what, "loop") == 0)
		return loop();
	if (strncmp(what, "exit ", 5) == 0)
		exit(atoi(what + 5));
	if (strncmp(what, "_exit ", 6) == 0)
		_exit(atoi(what + 6));
	if (strcmp(what, "check") == 0)
		return check(db);
	if (strncmp(what, "remove ", 7) == 0)
		return ones_remove_stored(NULL, "kept", what + 7);
	if (strncmp(what, "wait ", 5) == 0)
		(void)poll(NULL, 0, atoi(what + 5));
	return strcmp(what, "fail") == 0 ? ONES_RESULT_FAILED : ONES_RESULT_OK;
}

/* "tick=wait 500": the name, and what is to be done. */
static enum ones_result run(struct ones_db *db, void *context)
{
	const char *name = context;
	const char *what = strchr(name, '=') + 1;
	char *job = strndup(name, (size_t)(what - name) - 1);
	struct ones_rows *rows;
	int64_t id = 0;
	enum ones_result result = ones_sql(db, &rows, "INSERT INTO tasks.runs (job, pid) VALUES ($1, $2) RETURNING id",
	                                   ONES_VALUES(ONES_TEXT(job), ONES_INT(getppid())));

	free(job);
	if (result != ONES_RESULT_OK)
		return result;
	id = ones_int(rows, 0, "id");
	ones_log("task_runs", "run %d does %s", (int)id, what);
	result = act(db, what);
	(void)ones_sql(db, NULL, "UPDATE tasks.runs SET ended_at = clock_timestamp() WHERE id = $1",
	               ONES_VALUES(ONES_INT(id)));
	return result;
}

static int64_t number(const struct ones_app *app, const char *key, int64_t fallback)
{
	const char *text = ones_setting(app, key);

	return text != NULL ? atoll(text) : fallback;
}

static void add(struct ones_app *app, const char *name, const char *what, int64_t every_ms)
{
	static char contexts[JOBS][64];
	static size_t count;

	if (what == NULL || count == JOBS)
		return;
	(void)snprintf(contexts[count], sizeof contexts[count], "%s=%s", name, what);
	ones_job(app, &(struct ones_job){.name = name,
	                                 .every_ms = every_ms,
	                                 .timeout_ms = number(app, "timeout", 0),
	                                 .on_every_host = strcmp(name, "local") == 0,
	                                 .run = run,
	                                 .context = contexts[count++]});
}

static void add_many(struct ones_app *app, const char *many, int64_t every_ms)
{
	static char names[JOBS][32];
	char color[16], what[32];
	int count;

	if (many == NULL || sscanf(many, "%15s %d %31[^\n]", color, &count, what) != 3)
		return;
	for (int i = 0; i < count && i < JOBS; i++) {
		(void)snprintf(names[i], sizeof names[i], "%s_%d", color, i);
		add(app, names[i], what, every_ms);
	}
}

static bool setup(struct ones_app *app)
{
	int64_t every_ms = number(app, "every", 1000);

	if (ones_setting(app, "folder") != NULL)
		ones_folder(app, "kept", "folder");
	ones_signal(app, "done");
	ones_connect_to(app, "tasks.done",
	                &(struct ones_receiver){.name = "hear", .phase = ONES_AFTER_COMMIT, .call = hear});
	add(app, "tick", ones_setting(app, "tick"), every_ms);
	add(app, "local", ones_setting(app, "local"), every_ms);
	add(app, "other", ones_setting(app, "other"), every_ms);
	add(app, "late", ones_setting(app, "late"), 3600000);
	add_many(app, ones_setting(app, "many"), every_ms);
	return true;
}

static bool start(struct ones_app *app)
{
	(void)app;
	ones_log("tasks_started", "process %d", (int)getpid());
	return true;
}

ONES_MODULE(.name = "tasks", .version = "1", .setup = setup, .start = start);
