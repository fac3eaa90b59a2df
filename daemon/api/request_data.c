/* Session data on the way of a request: read before its handler, written after it. */
#include "api/request_data.h"

#include "api/key_cookie.h"
#include "api/keys.h"
#include "base/log.h"
#include "session/session_data.h"

#include <sodium.h>

struct request_data {
	struct session_data *values;
	int64_t user_id;        /* the account whose session it is kept with; 0: none */
	struct session_key key; /* of the row that it was read from */
	bool has_row;           /* there is one; without a session it is made when there is something to keep */
	bool failed;            /* out of memory in between: nothing that is right could be written */
};

static struct session_data *values_of(struct ones_request *req)
{
	if (req->data != NULL)
		return req->data->values;
	log_error("no_data_kept", LOG_STR("route", req->route->declared.path),
	          LOG_STR("hint", "it needs .needs = ONES_NEEDS_SESSION_DATA"));
	return NULL;
}

const json_t *ones_data_get(struct ones_request *req, const char *name)
{
	const struct session_data *values = values_of(req);

	return values != NULL ? session_data_get(values, name) : NULL;
}

bool ones_data_set(struct ones_request *req, const char *name, json_t *value)
{
	struct session_data *values = values_of(req);

	if (values != NULL)
		return session_data_set(values, name, value);
	json_decref(value);
	return false;
}

bool ones_data_remove(struct ones_request *req, const char *name)
{
	struct session_data *values = values_of(req);

	return values != NULL && session_data_remove(values, name);
}

static void reply_data_failure(struct ones_request *req, enum db_status status)
{
	response_reset(&req->response);
	ones_reply_failure(req, exchange_result(status), NULL);
}

static void set_owner(struct ones_request *req)
{
	req->data->user_id = req->verdict.live ? req->verdict.session.user.id : 0;
	req->data->has_row = req->verdict.live;
	if (req->verdict.live)
		req->data->key = req->key;
}

bool request_data_open(struct ones_request *req)
{
	const struct session_key *own = keys_own(req);
	enum db_status status = DB_OK;
	struct request_data *data;

	if (req->route->declared.needs != ONES_NEEDS_SESSION_DATA)
		return true;
	data = talloc_zero(req, struct request_data);
	if (data != NULL)
		data->values = session_data_new(data);
	if (data == NULL || data->values == NULL) {
		reply_data_failure(req, DB_ERROR);
		return false;
	}
	req->data = data;
	set_owner(req);
	if (!req->verdict.live && own != NULL)
		data->key = *own;
	if (req->verdict.live)
		status = session_data_read(data->values, req->app->rule.db, &data->key);
	else if (own != NULL)
		status = session_data_read_anonymous(data->values, req->app->rule.db, &data->key, &data->has_row);
	if (status != DB_OK)
		reply_data_failure(req, status);
	return status == DB_OK;
}

void request_data_rebind(struct ones_request *req)
{
	struct request_data *data = req->data;
	bool goes_along;

	if (data == NULL)
		return;
	/* As the login itself has done it in the database (see rule.c). */
	goes_along = req->verdict.live && (data->user_id == 0 || data->user_id == req->verdict.session.user.id);
	if (!goes_along && !session_data_clear(data->values))
		data->failed = true;
	set_owner(req);
}

/* Begin to keep something, under a new key, whatever key the browser has presented. */
static enum db_status begin_anonymous(struct ones_request *req, const struct session_data_change *change)
{
	int64_t lifetime = req->app->settings->session.lifetime;
	char token[TOKEN_LENGTH + 1];
	struct session_key key;
	enum db_status status;

	token_generate(token);
	key = token_key(token);
	status = session_data_begin_anonymous(req->app->rule.db, &key, lifetime, change);
	if (status == DB_OK)
		key_cookie_write(req, token);
	sodium_memzero(token, sizeof token);
	return status;
}

static enum db_status write_change(struct ones_request *req)
{
	const struct request_data *data = req->data;
	struct db *db = req->app->rule.db;
	struct session_data_change change;

	if (data->failed || !session_data_change(data->values, req, &change))
		return DB_ERROR;
	if (change.set == NULL && change.removed == NULL)
		return DB_OK;
	if (data->user_id != 0)
		return session_data_write(db, &data->key, &change);
	if (data->has_row)
		return session_data_write_anonymous(db, &data->key, &change);
	return begin_anonymous(req, &change);
}

void request_data_close(struct ones_request *req)
{
	const struct http_response *response = &req->response;
	enum db_status status;

	if (req->data == NULL || response->failed || response->status == 0 || response->status >= 500)
		return;
	status = write_change(req);
	if (status != DB_OK)
		reply_data_failure(req, status);
}
