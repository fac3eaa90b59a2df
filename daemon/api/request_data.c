#include "api/request_data.h"

#include "api/app.h"
#include "api/key_cookie.h"
#include "base/log.h"
#include "session/session_data.h"

#include <sodium.h>

struct kept_data {
	struct session_data *data;
	int64_t user_id;        /* whose session it is kept with; 0: nobody is signed in */
	struct session_key key; /* of the row that it was read from */
	bool has_row;           /* there is one; for nobody's, else it is made when there is something to keep */
	bool failed;            /* out of memory in between: nothing that is right could be written */
};

static struct session_data *data_of(struct ones_request *req)
{
	if (req->kept != NULL)
		return req->kept->data;
	log_error("no_data_kept", LOG_STR("route", req->route->path), LOG_STR("hint", "it needs .keeps_data = true"));
	return NULL;
}

const json_t *ones_data_get(struct ones_request *req, const char *name)
{
	const struct session_data *data = data_of(req);

	return data != NULL ? session_data_get(data, name) : NULL;
}

bool ones_data_set(struct ones_request *req, const char *name, json_t *value)
{
	struct session_data *data = data_of(req);

	if (data != NULL)
		return session_data_set(data, name, value);
	json_decref(value);
	return false;
}

bool ones_data_remove(struct ones_request *req, const char *name)
{
	struct session_data *data = data_of(req);

	return data != NULL && session_data_remove(data, name);
}

static void reply_data_failure(struct ones_request *req, enum db_status status)
{
	response_reset(&req->response);
	ones_reply_failure(req, app_result(status), NULL);
}

static void set_owner(struct ones_request *req)
{
	req->kept->user_id = req->verdict.live ? req->verdict.session.user.id : 0;
	req->kept->has_row = req->verdict.live;
	req->kept->key = req->key;
}

bool data_open(struct ones_request *req)
{
	enum db_status status = DB_OK;
	struct kept_data *kept;

	if (!req->route->keeps_data)
		return true;
	kept = talloc_zero(req, struct kept_data);
	if (kept != NULL)
		kept->data = session_data_new(kept);
	if (kept == NULL || kept->data == NULL) {
		reply_data_failure(req, DB_ERROR);
		return false;
	}
	req->kept = kept;
	set_owner(req);
	if (req->verdict.live)
		status = session_data_read(kept->data, req->app->rule.db, &kept->key);
	else if (req->has_key)
		status = session_data_read_anonymous(kept->data, req->app->rule.db, &kept->key, &kept->has_row);
	if (status != DB_OK)
		reply_data_failure(req, status);
	return status == DB_OK;
}

void data_rebind(struct ones_request *req)
{
	struct kept_data *kept = req->kept;
	bool goes_along;

	if (kept == NULL)
		return;
	/* As the login itself has done it in the database (see rule.c). */
	goes_along = req->verdict.live && (kept->user_id == 0 || kept->user_id == req->verdict.session.user.id);
	if (!goes_along && !session_data_clear(kept->data))
		kept->failed = true;
	set_owner(req);
}

/* Begin to keep something: under a key of our own making, whatever the browser has presented. */
static enum db_status begin(struct ones_request *req, const struct session_data_change *change)
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
	const struct kept_data *kept = req->kept;
	struct db *db = req->app->rule.db;
	struct session_data_change change;

	if (kept->failed || !session_data_change(kept->data, req, &change))
		return DB_ERROR;
	if (change.set == NULL && change.removed == NULL)
		return DB_OK;
	if (kept->user_id != 0)
		return session_data_write(db, &kept->key, &change);
	if (kept->has_row)
		return session_data_write_anonymous(db, &kept->key, &change);
	return begin(req, &change);
}

void data_close(struct ones_request *req)
{
	const struct http_response *response = &req->response;
	enum db_status status;

	if (req->kept == NULL || response->failed || response->status == 0 || response->status >= 500)
		return;
	status = write_change(req);
	if (status != DB_OK)
		reply_data_failure(req, status);
}
