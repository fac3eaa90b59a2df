/* An exchange: what handlers read of a request, and what the rest of this folder asks of it. */
#include "api/exchange.h"

#include "api/uploads.h"
#include "base/log.h"

#include <string.h>

struct client exchange_client(const struct ones_request *req)
{
	/* A program's own address and library are nobody's device: they would be shown as the person's. */
	if (req->caller.name != NULL)
		return (struct client){.program = req->caller.name};
	return (struct client){.ip = req->http->remote_addr, .user_agent = req->http->user_agent};
}

void exchange_warn(const struct ones_request *req, const char *problem)
{
	log_error("handler_fault", LOG_STR("method", req->http->method_name),
	          LOG_STR("route", req->route != NULL ? req->route->declared.path : ""), LOG_STR("problem", problem));
}

void exchange_fail(struct ones_request *req, const char *problem)
{
	req->response.failed = true;
	exchange_warn(req, problem);
}

const struct module *exchange_module(const struct ones_request *req)
{
	return req->route != NULL ? req->route->module : req->app->modules[0];
}

bool exchange_knows_key(const struct ones_request *req, const struct session_key *key)
{
	const struct app_lookup *lookup = &req->lookup;

	for (size_t i = 0; lookup->result != NULL && i < req->preview.key_count; i++) {
		if (memcmp(&req->preview.keys[i], key, sizeof *key) == 0)
			return rule_is_known(lookup->result, lookup->first + i);
	}
	return false;
}

enum ones_result exchange_result(enum db_status status)
{
	if (status == DB_OK)
		return ONES_RESULT_OK;
	if (status == DB_REFUSED)
		return ONES_RESULT_REFUSED;
	return status == DB_ERROR ? ONES_RESULT_FAILED : ONES_RESULT_UNAVAILABLE;
}

const struct ones_session *ones_session(const struct ones_request *req)
{
	return req->verdict.live ? &req->verdict.session : NULL;
}

ones_time ones_found_at(const struct ones_request *req)
{
	return req->verdict.live ? req->verdict.now : 0;
}

const struct ones_ending *ones_ending(const struct ones_request *req)
{
	return &req->ending;
}

const struct ones_refusal *ones_refusal(const struct ones_request *req)
{
	return req->refusal.code != NULL ? &req->refusal : NULL;
}

enum ones_method ones_method(const struct ones_request *req)
{
	return req->http->method;
}

bool ones_is_authorizer(const struct ones_request *req)
{
	return req->http->is_authorizer;
}

bool ones_is_program(const struct ones_request *req)
{
	return req->http->is_program;
}

const char *ones_query(const struct ones_request *req, const char *name)
{
	return name != NULL && req->http->query != NULL ? urlencoded_get(req->http->query, name) : NULL;
}

const char *ones_field(const struct ones_request *req, const char *name)
{
	if (name == NULL)
		return NULL;
	if (req->http->json != NULL)
		return json_string_value(json_object_get(req->http->json, name));
	if (req->uploads != NULL)
		return uploads_field(req->uploads, name);
	return req->http->form != NULL ? urlencoded_get(req->http->form, name) : NULL;
}

bool ones_field_is_true(const struct ones_request *req, const char *name)
{
	const char *text = ones_field(req, name);

	return json_is_true(json_object_get(req->http->json, name)) || (text != NULL && strcmp(text, "true") == 0);
}

const json_t *ones_json(const struct ones_request *req)
{
	return req->http->json;
}

bool ones_database_ready(struct ones_request *req)
{
	static const struct db_statement ready = {"ready", "SELECT 1"};

	return db_query(req->app->rule.db, NULL, &ready, NULL, 0, NULL) == DB_OK;
}
