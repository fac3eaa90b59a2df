/* Calls of handlers and jobs to HTTP services: behind ones_call(). */
#include "api/exchange.h"
#include "api/jobs.h"
#include "api/request_db.h"
#include "api/services.h"
#include "base/clock.h"
#include "base/http_token.h"
#include "base/log.h"
#include "base/version.h"
#include "http/client.h"
#include "session/module_sql.h"

#include <string.h>
#include <strings.h>

#define TIMEOUT_MS      INT64_C(5000)
#define ANSWER_SIZE     ((size_t)1024 * 1024)
#define ANSWER_MAX      ((size_t)64 * 1024 * 1024)
#define PATH_LENGTH_MAX 8192
#define HEADERS_MAX     64
#define NO_RECEIVER     "without a request it is for jobs only, and no receiver is one"

/* Who calls: a request's handler, or the job of this process. */
struct caller {
	struct ones_app *app;
	const struct ones_db *db; /* NULL: it has not asked for one */
	TALLOC_CTX *ctx;
	int64_t until_ms;    /* clock_monotonic_ms() at which its time for calls is over */
	const char *refusal; /* why there are no calls, in a sentence; NULL: there are */
};

static struct caller of_request(struct ones_request *req)
{
	struct caller caller = {
		.app = req->app,
		.db = req->db,
		.ctx = req,
		.until_ms = request_until_ms(req),
	};

	if (req->route->declared.quick && req->http->method == ONES_METHOD_GET)
		caller.refusal = "a quick route waits for nothing, and so calls nobody";
	return caller;
}

static struct caller of_job(void)
{
	const struct job_now *now = job_now();

	if (now->app == NULL)
		return (struct caller){.refusal = NO_RECEIVER};
	return (struct caller){.app = now->app, .db = now->db, .ctx = now->db->ctx, .until_ms = now->db->until_ms};
}

/* ---- What is wrong with it ----------------------------------------------------------------------------------- */

/* How long the dot is that the text begins with; 0: it begins with none. */
static size_t dot_length(const char *text)
{
	if (*text == '.')
		return 1;
	return strncasecmp(text, "%2e", 3) == 0 ? 3 : 0;
}

/* Likewise of what separates segments: servers that take escapes off before they look for dots find these, too. */
static size_t separator_length(const char *text)
{
	if (*text == '/')
		return 1;
	return strncasecmp(text, "%2f", 3) == 0 || strncasecmp(text, "%5c", 3) == 0 ? 3 : 0;
}

/* A segment that leads up would leave what the address of the service is. */
static bool has_dot_segment(const char *path)
{
	const char *end = path + strcspn(path, "?");

	while (path < end) {
		size_t separator = separator_length(path), dots = 0, length;

		path += separator > 0 ? separator : 1;
		if (separator == 0)
			continue;
		for (; (length = dot_length(path)) > 0; path += length)
			dots++;
		if ((dots == 1 || dots == 2) && (path == end || separator_length(path) > 0))
			return true;
	}
	return false;
}

static const char *path_problem(const char *path)
{
	if (path == NULL || path[0] != '/' || strlen(path) > PATH_LENGTH_MAX)
		return "its path does not begin with a slash, or is longer than 8 KiB";
	for (const char *at = path; *at != '\0'; at++) {
		if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f || strchr("\"#<>\\^`{|}", *at) != NULL)
			return "its path has a character that would have to be escaped";
	}
	return has_dot_segment(path) ? "its path has a segment . or .., which leads elsewhere" : NULL;
}

/* "Name: value", of which the name is not one of those that the call itself sets. */
static const char *header_problem(const char *header)
{
	static const char *const own[] = {"Host",   "Content-Length", "Transfer-Encoding", "Content-Type", "Connection",
	                                  "Expect", "Upgrade"};
	size_t length = strcspn(header, ":");
	char name[128];

	if (header[length] != ':' || length >= sizeof name || !response_field_can_hold(header))
		return "a header field is not \"Name: value\" in a line";
	memcpy(name, header, length);
	name[length] = '\0';
	if (!is_http_token(name))
		return "a header field's name is none";
	if (header[length + 1 + strspn(header + length + 1, " \t")] == '\0')
		return "a header field has no value";
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
		if (strcasecmp(name, own[i]) == 0)
			return "a header field is one that the call itself sets, or none of its business";
	}
	return NULL;
}

static const char *headers_problem(const char *const *headers)
{
	const char *problem = NULL;

	for (size_t count = 0; headers != NULL && headers[count] != NULL && problem == NULL; count++)
		problem = count < HEADERS_MAX ? header_problem(headers[count]) : "it has more than 64 header fields";
	return problem;
}

static bool is_method(const char *method)
{
	bool is_head;

	return request_method((struct fcgi_text){method, strlen(method)}, &is_head) != ONES_METHOD_COUNT;
}

/* What is wrong with the call, whoever makes it; NULL: nothing. */
static const char *problem_of(const struct ones_call *call)
{
	const char *problem;

	if (call->method != NULL && !is_method(call->method))
		return "its method is none of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS";
	if (call->body == NULL && call->size > 0)
		return "its body is NULL, and has a size";
	if (call->content_type != NULL && !response_field_can_hold(call->content_type))
		return "its content type would break out of its line";
	if (call->timeout_ms < 0 || call->max_answer > ANSWER_MAX)
		return ".timeout_ms is less than 0, or .max_answer more than 64 MiB";
	problem = path_problem(call->path);
	return problem != NULL ? problem : headers_problem(call->headers);
}

/* ---- The call ------------------------------------------------------------------------------------------------ */

/* A mistake of the module's: nothing is sent. */
static enum ones_result refuse(const struct ones_call *call, const char *problem)
{
	log_error("service_refused", LOG_STR("service", call->service), LOG_STR("problem", problem));
	return ONES_RESULT_FAILED;
}

static struct http_call with_defaults(const struct ones_call *call, const struct service *service, int64_t left_ms)
{
	int64_t timeout = call->timeout_ms != 0 ? call->timeout_ms : TIMEOUT_MS;

	return (struct http_call){
		.address = service->address,
		.path = call->path,
		.method = call->method != NULL ? call->method
	                  : call->body != NULL ? "POST"
	                                       : "GET",
		.user_agent = "onesession/" ONESESSION_VERSION,
		.content_type = call->content_type,
		.headers = call->headers,
		.body = call->body,
		.size = call->size,
		.timeout_ms = timeout < left_ms ? timeout : left_ms,
		.max_answer = call->max_answer != 0 ? call->max_answer : ANSWER_SIZE,
	};
}

/* NULL: an answer has come; else why there is none. */
static const char *try(const struct caller *caller, const struct ones_call *call, const struct service *service,
                       struct http_answer *answer)
{
	struct ones_app *app = caller->app;
	int64_t left_ms = caller->until_ms - clock_monotonic_ms();
	struct http_call http = with_defaults(call, service, left_ms);

	if (left_ms <= 0)
		return "no_time_left";
	if (app->http_client == NULL)
		app->http_client = http_client_new(app);
	return app->http_client != NULL ? http_client_call(app->http_client, caller->ctx, &http, answer) : "memory";
}

static enum ones_result make(const struct caller *caller, const struct ones_call *call, const struct service *service,
                             struct ones_called *called)
{
	int64_t began = clock_monotonic_us();
	struct http_answer answer = {.status = 0};
	const char *reason = try(caller, call, service, &answer);
	int64_t took = clock_monotonic_us() - began;

	atomic_fetch_add(&service->counters->duration_us, (uint64_t)took);
	atomic_fetch_add(reason == NULL ? &service->counters->answered : &service->counters->failed, 1);
	if (reason != NULL) {
		log_warning("service_failed", LOG_STR("service", service->name), LOG_STR("reason", reason),
		            LOG_INT("ms", took / 1000));
		return ONES_RESULT_UNAVAILABLE;
	}
	*called = (struct ones_called){
		.status = answer.status, .content_type = answer.content_type, .body = answer.body, .size = answer.size};
	return ONES_RESULT_OK;
}

enum ones_result ones_call(struct ones_request *req, const struct ones_call *call, struct ones_called *called)
{
	struct caller caller = req != NULL ? of_request(req) : of_job();
	const char *problem = caller.refusal != NULL ? caller.refusal : problem_of(call);
	const struct service *service;

	*called = (struct ones_called){.content_type = "", .body = ""};
	if (problem != NULL)
		return refuse(call, problem);
	if (caller.db != NULL && caller.db->is_telling)
		return refuse(call, NO_RECEIVER);
	if (caller.db != NULL && caller.db->in_transaction)
		return refuse(call, "it would hold a transaction up: it is called before one or after it");
	service = call->service != NULL ? services_find(caller.app, call->service) : NULL;
	if (service == NULL)
		return refuse(call, "the module has declared no service of this name");
	return make(&caller, call, service, called);
}
