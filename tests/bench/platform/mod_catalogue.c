/* The application of the comparison of platforms as a module of Apache, with mod_dbd's connections. */
#include "catalogue.h"

#include <httpd.h>

#include <apr_dbd.h>
#include <apr_optional.h>
#include <http_config.h>
#include <http_protocol.h>
#include <jansson.h>
#include <mod_dbd.h>

static APR_OPTIONAL_FN_TYPE(ap_dbd_prepare) * dbd_prepare;
static APR_OPTIONAL_FN_TYPE(ap_dbd_acquire) * dbd_acquire;

static int answer_row(request_rec *req, int64_t id, const apr_dbd_driver_t *driver, apr_dbd_row_t *row)
{
	json_t *value = json_pack("{s:I, s:s, s:I, s:s}", "id", (json_int_t)id, "title",
	                          apr_dbd_get_entry(driver, row, CATALOGUE_TITLE), "year",
	                          (json_int_t)strtoll(apr_dbd_get_entry(driver, row, CATALOGUE_YEAR), NULL, 10),
	                          "summary", apr_dbd_get_entry(driver, row, CATALOGUE_SUMMARY));
	char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;

	json_decref(value);
	if (text == NULL)
		return HTTP_INTERNAL_SERVER_ERROR;
	ap_set_content_type(req, "application/json");
	(void)ap_rputs(text, req);
	free(text);
	return OK;
}

static int title(request_rec *req)
{
	apr_dbd_prepared_t *statement;
	apr_dbd_results_t *found = NULL;
	apr_dbd_row_t *row = NULL;
	apr_int64_t number;
	ap_dbd_t *db;
	int64_t id;

	if (req->handler == NULL || strcmp(req->handler, "catalogue") != 0)
		return DECLINED;
	if (!catalogue_id_of_path(req->uri, &id))
		return HTTP_NOT_FOUND;
	db = dbd_acquire != NULL ? dbd_acquire(req) : NULL;
	statement = db != NULL ? apr_hash_get(db->prepared, "title", APR_HASH_KEY_STRING) : NULL;
	number = id;
	if (statement == NULL ||
	    apr_dbd_pvbselect(db->driver, req->pool, db->handle, &found, statement, 1, &number) != 0)
		return HTTP_SERVICE_UNAVAILABLE;
	if (apr_dbd_get_row(db->driver, req->pool, found, &row, -1) != 0)
		return HTTP_NOT_FOUND;
	return answer_row(req, id, db->driver, row);
}

static int prepare(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
	(void)pconf;
	(void)plog;
	(void)ptemp;
	dbd_prepare = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_prepare);
	dbd_acquire = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_acquire);
	if (dbd_prepare == NULL || dbd_acquire == NULL)
		return HTTP_INTERNAL_SERVER_ERROR;
	/* %lld is mod_dbd's $1 and its type. */
	dbd_prepare(server, CATALOGUE_SQL "%lld", "title");
	return OK;
}

static void register_hooks(apr_pool_t *pool)
{
	(void)pool;
	/* Before mod_dbd prepares. */
	ap_hook_post_config(prepare, NULL, NULL, APR_HOOK_FIRST);
	ap_hook_handler(title, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(catalogue) = {STANDARD20_MODULE_STUFF, .register_hooks = register_hooks};
