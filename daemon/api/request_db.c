/* SQL of a request's handler: behind ones_db(). */
#include "api/request_db.h"

#include "base/log.h"
#include "session/module_sql.h"

/* The last part of a request's time is for its answer: what waits for the database until then is given up. */
#define TIME_FOR_SQL(ms) ((ms) - (ms) / 10)

/* Why the handler has no SQL; NULL: it has. */
static const char *refusal_of(const struct ones_request *req)
{
	if (req->app->rule.db == NULL || req->route->declared.needs == ONES_NEEDS_NOTHING)
		return "a route with .needs = ONES_NEEDS_NOTHING has no database";
	if (req->route->declared.quick && req->http->method == ONES_METHOD_GET)
		return "a quick route waits for nothing, and so has no SQL";
	return NULL;
}

/* How long the request may take. */
static int64_t request_ms(const struct ones_request *req)
{
	int64_t of_route = req->route->declared.timeout_ms;

	return of_route != 0 ? of_route : req->app->settings->server.request_timeout;
}

struct ones_db *ones_db(struct ones_request *req)
{
	if (req->db == NULL)
		req->db = talloc_zero(req, struct ones_db);
	if (req->db == NULL)
		return NULL;
	req->db->db = req->app->rule.db;
	req->db->ctx = req;
	req->db->purpose = req->route->declared.path;
	req->db->refusal = refusal_of(req);
	req->db->until_ms = req->times.running_ms + TIME_FOR_SQL(request_ms(req));
	return req->db;
}

void request_db_close(struct ones_request *req)
{
	if (req->db != NULL && req->db->has_misread)
		req->response.failed = true;
}

bool request_db_is_free(const struct ones_request *req, const char *call)
{
	if (req->db == NULL || !req->db->in_transaction)
		return true;
	log_error("refused_in_transaction", LOG_STR("call", call), LOG_STR("purpose", req->db->purpose),
	          LOG_STR("problem", "it has a transaction of its own, and cannot be part of ones_transact()"));
	return false;
}
