/* SQL of a request's handler: behind ones_db(). */
#include "api/request_db.h"

#include "base/clock.h"
#include "base/log.h"
#include "session/module_sql.h"

/* Why the handler has no SQL; NULL: it has. */
static const char *refusal_of(const struct ones_request *req)
{
	if (req->app->rule.db == NULL || req->route->declared.needs == ONES_NEEDS_NOTHING)
		return "a route with .needs = ONES_NEEDS_NOTHING has no database";
	if (req->route->declared.quick &&
	    (req->http->method == ONES_METHOD_GET || req->route->declared.key_field != NULL))
		return "a quick route waits for nothing, and so has no SQL";
	return NULL;
}

static int64_t time_for_sql_ms(const struct ones_request *req)
{
	int64_t of_route = req->route->declared.timeout_ms;

	return TIME_FOR_SQL(of_route != 0 ? of_route : req->app->settings->server.request_timeout);
}

int64_t request_until_ms(const struct ones_request *req)
{
	return req->times.running_ms + time_for_sql_ms(req);
}

struct ones_db *ones_db(struct ones_request *req)
{
	const struct client client = exchange_client(req);

	if (req->db == NULL)
		req->db = talloc_zero(req, struct ones_db);
	if (req->db == NULL)
		return NULL;
	req->db->db = req->app->rule.db;
	req->db->ctx = req;
	req->db->purpose = req->route->declared.path;
	req->db->refusal = refusal_of(req);
	req->db->signals = req->app->signals;
	req->db->refused = &req->refusal;
	req->db->client_ip = client.ip;
	req->db->client_user_agent = client.user_agent;
	req->db->client_language = client.language;
	req->db->client_program = client.program;
	req->db->until_ms = request_until_ms(req);
	return req->db;
}

static const char only_in_streams[] = "it is for the function that makes the pieces of a stream, while it runs";

struct ones_db *ones_stream_db(struct ones_request *req)
{
	const struct ones_db *own = ones_db(req);

	if (own == NULL || req->stream_db != NULL)
		return req->stream_db;
	req->stream_db = talloc_memdup(req, own, sizeof *own);
	if (req->stream_db != NULL && own->refusal == NULL)
		req->stream_db->refusal = only_in_streams;
	return req->stream_db;
}

void request_stream_db_begin(struct ones_request *req)
{
	struct ones_db *db = req->stream_db;

	if (db == NULL || db->refusal != only_in_streams)
		return;
	db->ctx = talloc_new(req);
	db->until_ms = clock_monotonic_ms() + time_for_sql_ms(req);
	db->refusal = NULL;
}

bool request_stream_db_end(struct ones_request *req)
{
	struct ones_db *db = req->stream_db;

	if (db == NULL || db->refusal != NULL)
		return true;
	talloc_free(db->ctx);
	db->ctx = req;
	db->refusal = only_in_streams;
	return !db->has_misread;
}

void request_db_close(struct ones_request *req)
{
	if (req->db != NULL && req->db->has_misread)
		exchange_fail(req, "a column that it asked for is not there, or not of that type: see sql_misread");
}

bool request_db_take(struct ones_request *req, const char *call)
{
	req->refusal = (struct ones_refusal){0};
	if (req->db == NULL || !req->db->in_transaction)
		return true;
	log_error("refused_in_transaction", LOG_STR("call", call), LOG_STR("purpose", req->db->purpose),
	          LOG_STR("problem", "it has a transaction of its own, and cannot be part of ones_transact()"));
	return false;
}
