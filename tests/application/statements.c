/*
 * SQL that tests bring along: POST /statements with {"steps": [{"sql", "values"}...]} runs them one after the other, in
 * a transaction with "transact": true, which then ends with the result "then" when all went well. Values are numbers,
 * texts, true, false, null, {"bytes": TEXT} and {"time": N}. Answers {"results", "rows", "runs", "result"}. "read":
 * [{"as", "row", "column"}...] reads the rows of the last step. GET /quick_statement and /needless_statement try it
 * where there is no SQL. A receiver does what the browser's name says.
 */
#include "application.h"

#include <string.h>

#define VALUES_MAX 32

struct run {
	struct ones_request *req;
	const json_t *body;
	struct ones_rows *rows; /* of the last step */
	json_t *results;
	int runs;
};

static const char *result_name(enum ones_result result)
{
	static const char *const names[] = {
		[ONES_RESULT_OK] = "ok",
		[ONES_RESULT_INVALID] = "invalid",
		[ONES_RESULT_UNAVAILABLE] = "unavailable",
		[ONES_RESULT_FAILED] = "failed",
		[ONES_RESULT_DUPLICATE] = "duplicate",
		[ONES_RESULT_VIOLATION] = "violation",
		[ONES_RESULT_CONFLICT] = "conflict",
	};

	return names[result];
}

static struct ones_value value_of(const json_t *value)
{
	const json_t *bytes = json_object_get(value, "bytes");
	const json_t *when = json_object_get(value, "time");

	if (json_is_integer(value))
		return ONES_INT(json_integer_value(value));
	if (json_is_boolean(value))
		return ONES_BOOL(json_is_true(value));
	if (bytes != NULL)
		return ONES_BYTES(json_string_value(bytes), json_string_length(bytes));
	if (when != NULL)
		return ONES_TIME(json_integer_value(when));
	return json_is_string(value) ? ONES_TEXT(json_string_value(value)) : ONES_NULL;
}

static enum ones_result run_step(struct ones_db *db, struct ones_rows **rows, const json_t *step)
{
	const json_t *given = json_object_get(step, "values");
	const char *sql = json_string_value(json_object_get(step, "sql"));
	struct ones_value values[VALUES_MAX];
	size_t count = json_array_size(given);

	for (size_t i = 0; i < count && i < VALUES_MAX; i++)
		values[i] = value_of(json_array_get(given, i));
	return ones_sql(db, rows, sql, values, count);
}

/* What no handler should do in a transaction. */
static enum ones_result forbidden_step(struct ones_db *db, struct run *run, const char *what);

static enum ones_result run_steps(struct ones_db *db, void *context)
{
	struct run *run = context;
	const json_t *steps = json_object_get(run->body, "steps");
	enum ones_result result = ONES_RESULT_OK;
	json_t *step;
	size_t i;

	run->runs++;
	json_array_clear(run->results);
	json_array_foreach(steps, i, step)
	{
		const char *forbidden = json_string_value(json_object_get(step, "forbidden"));

		result = forbidden != NULL ? forbidden_step(db, run, forbidden) : run_step(db, &run->rows, step);
		(void)json_array_append_new(run->results, json_string(result_name(result)));
		if (result == ONES_RESULT_OK && json_is_true(json_object_get(step, "misread")))
			(void)ones_int(run->rows, 0, "nothing of that name");
	}
	return json_object_get(run->body, "then") != NULL ? ONES_RESULT_INVALID : result;
}

static enum ones_result forbidden_step(struct ones_db *db, struct run *run, const char *what)
{
	struct ones_login login;
	bool found;

	if (strcmp(what, "transact") == 0)
		return ones_transact(db, run_steps, run);
	if (strcmp(what, "logout") == 0)
		return ones_logout(run->req);
	if (strcmp(what, "end") == 0)
		return ones_end_session(run->req, ones_session(run->req)->id, &found);
	if (strcmp(what, "password") == 0)
		return ones_change_password(run->req, "old", "new password", &login);
	return ones_login(run->req, &(struct ones_credentials){.username = "alice", .password = "x"}, &login);
}

static json_t *read_value(const struct ones_rows *rows, const json_t *how)
{
	const char *as = json_string_value(json_object_get(how, "as"));
	const char *column = json_string_value(json_object_get(how, "column"));
	size_t row = (size_t)json_integer_value(json_object_get(how, "row"));
	const char *text;
	size_t size;

	if (strcmp(as, "int") == 0)
		return json_integer(ones_int(rows, row, column));
	if (strcmp(as, "bool") == 0)
		return json_boolean(ones_bool(rows, row, column));
	if (strcmp(as, "time") == 0)
		return json_integer(ones_time_at(rows, row, column));
	if (strcmp(as, "null") == 0)
		return json_boolean(ones_is_null(rows, row, column));
	text = strcmp(as, "bytes") == 0 ? ones_bytes(rows, row, column, &size) : ones_text(rows, row, column);
	if (text == NULL)
		return json_null();
	return strcmp(as, "bytes") == 0 ? json_stringn(text, size) : json_string(text);
}

static json_t *read_values(const struct ones_rows *rows, const json_t *wanted)
{
	json_t *values = json_array();
	json_t *how;
	size_t i;

	json_array_foreach(wanted, i, how)(void) json_array_append_new(values, read_value(rows, how));
	return values;
}

static void run_statements(struct ones_request *req)
{
	struct run run = {.req = req, .body = ones_json(req), .results = json_array()};
	struct ones_db *db = ones_db(req);
	const json_t *wanted = json_object_get(run.body, "read");
	enum ones_result result = json_is_true(json_object_get(run.body, "transact"))
	                                  ? ones_transact(db, run_steps, &run)
	                                  : run_steps(db, &run);

	ones_reply_json(req, 200,
	                json_pack("{s:s, s:o, s:i, s:I, s:o}", "result", result_name(result), "results", run.results,
	                          "runs", run.runs, "count", (json_int_t)ones_rows_count(run.rows), "rows",
	                          wanted != NULL ? read_values(run.rows, wanted) : ones_rows_json(run.rows)));
}

static void where_there_is_none(struct ones_request *req)
{
	enum ones_result result = ones_sql(ones_db(req), NULL, "SELECT 1", NULL, 0);

	ones_reply_json(req, 200, json_pack("{s:s}", "result", result_name(result)));
}

static enum ones_result nothing(struct ones_db *db, void *context)
{
	(void)db;
	(void)context;
	return ONES_RESULT_OK;
}

/* In the transaction of a login: the row is there with it, or not at all. */
static bool receive(const struct ones_event *event, void *context)
{
	static const char sql[] = "INSERT INTO application.titles (name, small) VALUES ($1, $2) RETURNING id";
	struct ones_rows *rows;

	(void)context;
	if (strncmp(event->user_agent, "Writer", strlen("Writer")) != 0)
		return true;
	if (strcmp(event->user_agent, "Writer that sets") == 0)
		return ones_execute(event->transaction, "SELECT set_config('search_path', '', false)", 0, NULL);
	if (strcmp(event->user_agent, "Writer that nests") == 0)
		return ones_transact(event->db, nothing, NULL) == ONES_RESULT_OK;
	if (ones_sql(event->db, &rows, sql,
	             ONES_VALUES(ONES_TEXT(event->username),
	                         ONES_INT(strcmp(event->user_agent, "Writer of 13") == 0 ? 13 : 1))) != ONES_RESULT_OK)
		return false;
	return ones_int(rows, 0, strcmp(event->user_agent, "Writer that misreads") == 0 ? "other" : "id") >= 0;
}

/* After the commit there is no transaction, and no SQL. */
static bool receive_late(const struct ones_event *event, void *context)
{
	(void)context;
	return strcmp(event->user_agent, "Late writer") != 0 ||
	       (ones_sql(event->db, NULL, "SELECT 1", NULL, 0) == ONES_RESULT_OK &&
	        ones_transact(event->db, nothing, NULL) == ONES_RESULT_OK);
}

void statements_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/statements", .post = run_statements, .hashes = true});
	ones_route(app, &(struct ones_route){.path = "/quick_statement", .get = where_there_is_none, .quick = true});
	ones_route(app, &(struct ones_route){.path = "/needless_statement",
	                                     .get = where_there_is_none,
	                                     .needs = ONES_NEEDS_NOTHING});
	ones_connect(app, ONES_SIGNAL_LOGGED_IN,
	             &(struct ones_receiver){.name = "write_title", .phase = ONES_IN_TRANSACTION, .call = receive});
	ones_connect(app, ONES_SIGNAL_LOGGED_IN,
	             &(struct ones_receiver){.name = "write_late", .phase = ONES_AFTER_COMMIT, .call = receive_late});
}
