/*
 * A module that calls a service, for tests. POST /call takes a JSON object: service, method, path, headers (a list),
 * content_type, body, timeout_ms, max_answer, each as in struct ones_call, and "in" with "transaction": then it is
 * called in one. The answer says what came of it, and how long that took. GET /quick calls from a quick route. A job
 * calls /from-job each second when the setting "job" is there, and receivers call /from-receiver with "receiver": one
 * of logins, and with "job" one after the commit of what that emits.
 */
#include "onesession.h"

#include <string.h>
#include <time.h>

#define HEADERS_MAX 80
/* As much of an answer is shown. */
#define SHOWN_MAX 65536

static const char *name_of(enum ones_result result)
{
	switch (result) {
	case ONES_RESULT_OK: return "ok";
	case ONES_RESULT_UNAVAILABLE: return "unavailable";
	case ONES_RESULT_FAILED: return "failed";
	default: return "another";
	}
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct context {
	struct ones_request *req;
	const struct ones_call *call;
	struct ones_called called;
};

static enum ones_result call_in_transaction(struct ones_db *db, void *context)
{
	struct context *given = context;
	enum ones_result result = ones_sql(db, NULL, "SELECT 1", NULL, 0);

	return result == ONES_RESULT_OK ? ones_call(given->req, given->call, &given->called) : result;
}

static void call(struct ones_request *req)
{
	const json_t *json = ones_json(req);
	const json_t *headers = json_object_get(json, "headers");
	const char *list[HEADERS_MAX + 1] = {NULL};
	const char *body = json_string_value(json_object_get(json, "body"));
	const struct ones_call wanted = {
		.service = ones_field(req, "service") != NULL ? ones_field(req, "service") : "mock",
		.method = ones_field(req, "method"),
		.path = ones_field(req, "path"),
		.headers = json_is_array(headers) ? list : NULL,
		.content_type = ones_field(req, "content_type"),
		.body = body,
		.size = body != NULL ? strlen(body) : 0,
		.timeout_ms = json_integer_value(json_object_get(json, "timeout_ms")),
		.max_answer = (size_t)json_integer_value(json_object_get(json, "max_answer")),
	};
	struct context context = {.req = req, .call = &wanted};
	int64_t began = now_ms();
	enum ones_result result;

	for (size_t i = 0; i < json_array_size(headers) && i < HEADERS_MAX; i++)
		list[i] = json_string_value(json_array_get(headers, i));
	if (ones_field(req, "in") != NULL)
		result = ones_transact(ones_db(req), call_in_transaction, &context);
	else
		result = ones_call(req, &wanted, &context.called);
	body = context.called.body != NULL ? context.called.body : "";
	ones_reply_json(req, 200,
	                json_pack("{s:s, s:i, s:s?, s:o, s:I, s:I}", "result", name_of(result), "status",
	                          context.called.status, "content_type", context.called.content_type, "body",
	                          json_stringn(body, context.called.size < SHOWN_MAX ? context.called.size : SHOWN_MAX),
	                          "size", (json_int_t)context.called.size, "ms", (json_int_t)(now_ms() - began)));
}

static void quick(struct ones_request *req)
{
	struct ones_called called;
	enum ones_result result = ones_call(req, &(struct ones_call){.service = "mock", .path = "/echo"}, &called);

	ones_reply_json(req, 200, json_pack("{s:s}", "result", name_of(result)));
}

static enum ones_result emit(struct ones_db *db, void *context)
{
	(void)context;
	return ones_emit(db, "caller.pinged", json_null());
}

static enum ones_result job(struct ones_db *db, void *context)
{
	struct ones_called called;

	if (context != NULL && ones_transact(db, emit, NULL) != ONES_RESULT_OK)
		return ONES_RESULT_FAILED;
	return ones_call(NULL, &(struct ones_call){.service = "mock", .path = "/from-job"}, &called);
}

static bool receiver(const struct ones_event *event, void *context)
{
	struct ones_called called;

	(void)event;
	(void)context;
	ones_log("receiver_called", "%s",
	         name_of(ones_call(NULL, &(struct ones_call){.service = "mock", .path = "/from-receiver"}, &called)));
	return true;
}

static void set_up_job(struct ones_app *app)
{
	static char emits[] = "emits";
	bool has_receiver = ones_setting(app, "receiver") != NULL;

	ones_signal(app, "pinged");
	ones_job(app, &(struct ones_job){.name = "ping",
	                                 .every_ms = 1000,
	                                 .on_every_host = true,
	                                 .run = job,
	                                 .context = has_receiver ? emits : NULL});
	if (has_receiver)
		ones_connect_to(app, "caller.pinged",
		                &(struct ones_receiver){.name = "calls", .phase = ONES_AFTER_COMMIT, .call = receiver});
}

static bool setup(struct ones_app *app)
{
	ones_service(app, "mock", "mock");
	ones_route(app, &(struct ones_route){.path = "/call", .post = call, .needs = ONES_NEEDS_DATABASE});
	ones_route(app, &(struct ones_route){.path = "/quick", .get = quick, .quick = true});
	if (ones_setting(app, "job") != NULL)
		set_up_job(app);
	if (ones_setting(app, "receiver") != NULL)
		ones_connect(app, ONES_SIGNAL_LOGGED_IN,
		             &(struct ones_receiver){.name = "calls", .phase = ONES_IN_TRANSACTION, .call = receiver});
	return true;
}

ONES_MODULE(.name = "caller", .version = "1", .setup = setup);
