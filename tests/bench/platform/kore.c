/*
 * The application of the comparison of platforms with kore and its own asynchronous connections to PostgreSQL, which
 * cannot prepare statements. JSON is jansson's, for kore's own writer does not escape texts.
 */
#include <kore/kore.h>
#include <kore/http.h>
#include <kore/pgsql.h>
#include <kore/seccomp.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue.h"

enum { STATE_BEGIN, STATE_WAIT, STATE_READ, STATE_END, STATE_FAILED };

struct asked {
	struct kore_pgsql sql;
	char *row; /* as JSON; NULL: there is none */
};

static int begin(struct http_request *req);
static int wait_for_row(struct http_request *req);
static int read_row(struct http_request *req);
static int answer(struct http_request *req);
static int answer_failure(struct http_request *req);

static struct http_state states[] = {
	{"begin", begin}, {"wait", wait_for_row}, {"read", read_row}, {"answer", answer}, {"failure", answer_failure},
};

/* Named in kore.conf.in. */
int init(int state);
int title(struct http_request *req);
/* Made by KORE_SECCOMP_FILTER(), and looked for by that name. */
void kore_seccomp_hook(void);

/* libpq looks for its files. */
KORE_SECCOMP_FILTER("catalogue", KORE_SYSCALL_ALLOW(newfstatat))

int init(int state)
{
	if (state == KORE_MODULE_LOAD)
		(void)kore_pgsql_register("db", getenv("BENCH_CONNINFO"));
	return KORE_RESULT_OK;
}

int title(struct http_request *req)
{
	return http_state_run(states, sizeof states / sizeof *states, req);
}

/* What stands for :id in the path: the route's expression takes digits only. */
static const char *id_of(const struct http_request *req)
{
	return req->path + sizeof CATALOGUE_PATH - 1;
}

static int begin(struct http_request *req)
{
	struct asked *asked = http_state_exists(req) ? http_state_get(req) : NULL;
	int64_t id;

	if (!catalogue_id(id_of(req), &id)) {
		http_response(req, HTTP_STATUS_NOT_FOUND, NULL, 0);
		return HTTP_STATE_COMPLETE;
	}
	if (asked == NULL) {
		asked = http_state_create(req, sizeof *asked, NULL);
		asked->row = NULL;
		kore_pgsql_init(&asked->sql);
		kore_pgsql_bind_request(&asked->sql, req);
	}
	if (!kore_pgsql_setup(&asked->sql, "db", KORE_PGSQL_ASYNC)) {
		req->fsm_state = asked->sql.state == KORE_PGSQL_STATE_INIT ? STATE_BEGIN : STATE_FAILED;
		/* Woken when a connection is free. */
		return asked->sql.state == KORE_PGSQL_STATE_INIT ? HTTP_STATE_RETRY : HTTP_STATE_CONTINUE;
	}
	req->fsm_state = STATE_WAIT;
	if (!kore_pgsql_query_params(&asked->sql, CATALOGUE_SQL "$1", KORE_PGSQL_FORMAT_TEXT, 1,
	                             KORE_PGSQL_PARAM_TEXT(id_of(req))))
		return HTTP_STATE_CONTINUE;
	return HTTP_STATE_RETRY;
}

static int wait_for_row(struct http_request *req)
{
	struct asked *asked = http_state_get(req);

	switch (asked->sql.state) {
	case KORE_PGSQL_STATE_WAIT: return HTTP_STATE_RETRY;
	case KORE_PGSQL_STATE_COMPLETE: req->fsm_state = STATE_END; break;
	case KORE_PGSQL_STATE_ERROR: req->fsm_state = STATE_FAILED; break;
	case KORE_PGSQL_STATE_RESULT: req->fsm_state = STATE_READ; break;
	default: kore_pgsql_continue(&asked->sql); break;
	}
	return HTTP_STATE_CONTINUE;
}

static int read_row(struct http_request *req)
{
	struct asked *asked = http_state_get(req);
	struct kore_pgsql *sql = &asked->sql;

	if (kore_pgsql_ntuples(sql) == 1) {
		json_t *row = json_pack("{s:I, s:s, s:I, s:s}", "id", (json_int_t)strtoll(id_of(req), NULL, 10),
		                        "title", kore_pgsql_getvalue(sql, 0, CATALOGUE_TITLE), "year",
		                        (json_int_t)strtoll(kore_pgsql_getvalue(sql, 0, CATALOGUE_YEAR), NULL, 10),
		                        "summary", kore_pgsql_getvalue(sql, 0, CATALOGUE_SUMMARY));

		asked->row = row != NULL ? json_dumps(row, JSON_COMPACT) : NULL;
		json_decref(row);
	}
	kore_pgsql_continue(sql);
	req->fsm_state = STATE_WAIT;
	return HTTP_STATE_CONTINUE;
}

static int answer(struct http_request *req)
{
	struct asked *asked = http_state_get(req);

	if (asked->row == NULL) {
		http_response(req, HTTP_STATUS_NOT_FOUND, NULL, 0);
	} else {
		http_response_header(req, "content-type", "application/json");
		http_response(req, HTTP_STATUS_OK, asked->row, strlen(asked->row));
		free(asked->row);
	}
	kore_pgsql_cleanup(&asked->sql);
	http_state_cleanup(req);
	return HTTP_STATE_COMPLETE;
}

static int answer_failure(struct http_request *req)
{
	struct asked *asked = http_state_get(req);

	kore_pgsql_logerror(&asked->sql);
	kore_pgsql_cleanup(&asked->sql);
	http_state_cleanup(req);
	http_response(req, HTTP_STATUS_SERVICE_UNAVAILABLE, NULL, 0);
	return HTTP_STATE_COMPLETE;
}
