/* How often a client may ask for what costs, whoever it says that it is: behind ones_throttle(). */
#include "api/module.h"
#include "api/request_db.h"
#include "base/config_sections.h"
#include "base/log.h"
#include "session/throttle.h"

#include <string.h>

static enum ones_result answer(const struct ones_request *req, int64_t *retry_after_s)
{
	*retry_after_s = req->counted_wait_s;
	return req->counted_wait_s > 0 ? ONES_RESULT_THROTTLED : ONES_RESULT_OK;
}

enum ones_result ones_throttle(struct ones_request *req, const char *what, int64_t *retry_after_s)
{
	const struct settings *settings = req->app->settings;
	const struct throttle_policy policy = {.per_address = settings->login.attempts_per_address,
	                                       .window_ms = settings->login.attempts_window};
	const char *name = talloc_asprintf(req, "%s.%s", exchange_module(req)->name, what);
	enum db_status status;

	*retry_after_s = 0;
	if (what == NULL || name == NULL || !config_section_can_be(what) || req->app->rule.db == NULL) {
		log_error("throttle_fault", LOG_STR("what", what),
		          LOG_STR("problem", "that is no name, or its route has no database"));
		return ONES_RESULT_FAILED;
	}
	if (req->counted != NULL && strcmp(req->counted, name) == 0)
		return answer(req, retry_after_s);
	if (!request_db_take(req, "ones_throttle"))
		return ONES_RESULT_FAILED;
	status = throttle_count_request(req->app->rule.db, &policy, name, req->http->remote_addr, &req->counted_wait_s);
	if (status != DB_OK)
		return exchange_result(status);
	req->counted = name;
	if (req->counted_wait_s > 0)
		counters_add(&req->app->board->counters, COUNTER_THROTTLED);
	return answer(req, retry_after_s);
}
