/*
 * Signals of the application's own. POST /tell with {"steps": [{"signal", "data"}...]} emits them in a transaction, or
 * with "transact": false outside of one; "before": SQL that is run before them, "ignore": true commits whatever the
 * emissions have returned, "then": true rolls back after them. Answers {"results", "result", "runs", "refusal"}. What
 * is told in the transaction is a row in application_audit, what is told after the commit is in GET /told, of this
 * worker. A login by "Teller" tells as well.
 */
#include "application.h"

#include <stdlib.h>
#include <string.h>

static char told_kept[64][120];
static size_t told_count;

struct telling {
	const json_t *body;
	json_t *results;
	int runs;
};

/* By hand, for the numbers of others may change. */
static const char *result_name(enum ones_result result)
{
	switch (result) {
	case ONES_RESULT_OK: return "ok";
	case ONES_RESULT_REFUSED: return "refused";
	case ONES_RESULT_FAILED: return "failed";
	case ONES_RESULT_CONFLICT: return "conflict";
	case ONES_RESULT_UNAVAILABLE: return "unavailable";
	case ONES_RESULT_INVALID: return "invalid";
	default: return "another";
	}
}

/* ---- Receivers ---------------------------------------------------------------------------------------------- */

static bool is(const struct ones_event *event, const char *member)
{
	return json_is_true(json_object_get(event->data, member));
}

/* In the transaction: the row is there with what it tells of, or not at all. */
static bool write_told(const struct ones_event *event, void *context)
{
	static const char sql[] = "INSERT INTO application_audit (receiver, signal, is_stored) VALUES ($1, $2, false)";
	const json_t *name = json_object_get(event->data, "name");

	if (is(event, "refuse"))
		ones_refuse(event, "not_that", "Not that one.");
	if (is(event, "fail"))
		return false;
	if (is(event, "misread")) {
		struct ones_rows *rows;

		(void)(ones_sql(event->db, &rows, "SELECT 1 AS one", NULL, 0) == ONES_RESULT_OK &&
		       ones_int(rows, 0, "two") == 0);
	}
	if (is(event, "execute")) {
		const char *const values[] = {context, event->name};

		return ones_execute(event->transaction, sql, 2, values);
	}
	return event->signal == ONES_SIGNAL_OWN && event->user_id == 0 && event->username[0] == '\0' &&
	       ones_sql(event->db, NULL, sql,
	                ONES_VALUES(ONES_TEXT(context), ONES_TEXT(name != NULL ? json_string_value(name) : ""))) ==
	               ONES_RESULT_OK;
}

/* "deeper": so often, in each other. */
static bool tell_deeper(const struct ones_event *event, void *context)
{
	const json_int_t deeper = json_integer_value(json_object_get(event->data, "deeper"));

	(void)context;
	if (deeper == 0)
		return true;
	(void)ones_emit(event->db, "application.chain",
	                json_pack("{s:I, s:b}", "deeper", deeper - 1, "refuse", (int)is(event, "refuse_below")));
	/* What comes of it is not for this one to overlook. */
	return true;
}

static bool note_told(const struct ones_event *event, void *context)
{
	char *data = json_dumps(event->data, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	if (data != NULL && told_count < sizeof told_kept / sizeof told_kept[0]) {
		(void)strcat(strcpy(told_kept[told_count], context), " ");
		(void)strcat(told_kept[told_count], event->name);
		(void)strcat(told_kept[told_count], " ");
		(void)strncat(told_kept[told_count], data, 60);
		told_count++;
	}
	free(data);
	if (is(event, "refuse_late"))
		ones_refuse(event, "too_late", "Too late.");
	/* There is no transaction any more. */
	return event->db == NULL && event->transaction == NULL &&
	       (!is(event, "emit_late") ||
	        ones_emit(event->db, "application.told", json_object()) == ONES_RESULT_FAILED);
}

static bool tell_of_login(const struct ones_event *event, void *context)
{
	(void)context;
	if (strncmp(event->user_agent, "Teller", strlen("Teller")) != 0)
		return true;
	return ones_emit(event->db, "application.told",
	                 json_pack("{s:s, s:b}", "name", event->username, "refuse",
	                           (int)(strcmp(event->user_agent, "Teller that is refused") == 0))) == ONES_RESULT_OK;
}

/* ---- Routes ------------------------------------------------------------------------------------------------- */

static enum ones_result tell_all(struct ones_db *db, void *context)
{
	struct telling *telling = context;
	const char *before = json_string_value(json_object_get(telling->body, "before"));
	enum ones_result result = before != NULL ? ones_sql(db, NULL, before, NULL, 0) : ONES_RESULT_OK;
	json_t *step;
	size_t i;

	telling->runs++;
	json_array_clear(telling->results);
	json_array_foreach(json_object_get(telling->body, "steps"), i, step)
	{
		json_t *data = json_object_get(step, "data");
		const char *signal = json_string_value(json_object_get(step, "signal"));

		/* In a run that is to fail, too: it must not count. */
		result = ones_emit(db, signal, json_incref(data));
		(void)json_array_append_new(telling->results, json_string(result_name(result)));
	}
	if (json_is_true(json_object_get(telling->body, "ignore")))
		return ONES_RESULT_OK;
	if (json_is_true(json_object_get(telling->body, "after")) && result == ONES_RESULT_OK)
		result = ones_sql(db, NULL, "SELECT conflict_before(3)", NULL, 0);
	return json_is_true(json_object_get(telling->body, "then")) ? ONES_RESULT_INVALID : result;
}

static void tell(struct ones_request *req)
{
	struct telling telling = {.body = ones_json(req), .results = json_array()};
	struct ones_db *db = ones_db(req);
	enum ones_result result = json_is_false(json_object_get(telling.body, "transact"))
	                                  ? tell_all(db, &telling)
	                                  : ones_transact(db, tell_all, &telling);
	const struct ones_refusal *refusal = ones_refusal(req);

	if (json_is_true(json_object_get(telling.body, "reply"))) {
		json_decref(telling.results);
		ones_reply_failure(req, result, NULL);
		return;
	}
	ones_reply_json(req, 200,
	                json_pack("{s:s, s:o, s:i, s:s?}", "result", result_name(result), "results", telling.results,
	                          "runs", telling.runs, "refusal", refusal != NULL ? refusal->code : NULL));
}

static void told(struct ones_request *req)
{
	json_t *all = json_array();

	for (size_t i = 0; i < told_count; i++)
		(void)json_array_append_new(all, json_string(told_kept[i]));
	ones_reply_json(req, 200, all);
}

static void connect(struct ones_app *app, const char *signal, const char *name, int order, enum ones_phase phase,
                    bool (*call)(const struct ones_event *, void *))
{
	static char early[] = "early", late[] = "late";

	ones_connect_to(app, signal,
	                &(struct ones_receiver){.name = name,
	                                        .order = order,
	                                        .phase = phase,
	                                        .call = call,
	                                        .context = order < 0 ? early : late});
}

void teller_setup(struct ones_app *app)
{
	/* Before it is declared. */
	connect(app, "application.told", "write_late", 5, ONES_IN_TRANSACTION, write_told);
	connect(app, "application.told", "write_early", -5, ONES_IN_TRANSACTION, write_told);
	ones_signal(app, "told");
	ones_signal(app, "chain");
	connect(app, "application.chain", "write", -5, ONES_IN_TRANSACTION, write_told);
	connect(app, "application.chain", "deeper", 5, ONES_IN_TRANSACTION, tell_deeper);
	connect(app, "application.chain", "note", 0, ONES_AFTER_COMMIT, note_told);
	connect(app, "application.told", "note_late", 5, ONES_AFTER_COMMIT, note_told);
	connect(app, "application.told", "note_early", -5, ONES_AFTER_COMMIT, note_told);
	ones_connect(app, ONES_SIGNAL_LOGGED_IN,
	             &(struct ones_receiver){.name = "tell", .phase = ONES_IN_TRANSACTION, .call = tell_of_login});
	ones_route(app, &(struct ones_route){.path = "/tell", .post = tell});
	ones_route(app, &(struct ones_route){.path = "/told", .get = told});
}
