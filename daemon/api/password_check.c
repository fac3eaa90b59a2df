/* Checking a password: throttle, rank, and the job that the hasher does. */
#include "api/password_check.h"

#include "api/key_cookie.h"
#include "api/login_rank.h"
#include "base/clock.h"
#include "base/log.h"
#include "session/browsers.h"
#include "session/throttle.h"

#include <sodium.h>

/* How many jobs a check may take, because the hash was replaced meanwhile. */
#define JOBS_MAX 3

struct login_throttle {
	struct throttle_subject subject;
	struct throttle_policy policy;
	struct session_key device;
};

/* What is kept of a request from one run of its handler to the next, while the hasher checks the password. */
struct password_check {
	int job_count;
	uint32_t rank;
	struct login_throttle throttle;
	struct user *user; /* NULL: no account has the name */
	bool is_answered;
	struct password_job job;
	struct password_answer answer;
};

static void begin_throttle(struct ones_request *req, const char *subject, const struct user *user,
                           struct login_throttle *throttle)
{
	const struct settings *settings = req->app->settings;

	*throttle = (struct login_throttle){
		.subject = {.username = subject, .user_id = user != NULL ? user->id : 0, .ip = req->http->remote_addr},
		.policy = {.per_user = settings->login.attempts_per_user,
	                   .per_address = settings->login.attempts_per_address,
	                   .window_ms = settings->login.attempts_window},
	};
	if (device_cookie_read(req, &throttle->device))
		throttle->subject.device = &throttle->device;
}

static enum ones_result throttled(struct ones_request *req, int64_t wait_s, struct ones_login *login)
{
	counters_add(&req->app->board->counters, COUNTER_THROTTLED);
	login->retry_after_s = wait_s;
	return ONES_RESULT_THROTTLED;
}

static enum ones_result too_busy(struct ones_request *req)
{
	counters_add(&req->app->board->counters, COUNTER_THROTTLED);
	return ONES_RESULT_BUSY;
}

/* The hasher lets no login of such a rank wait: those that do have lower ones. */
static bool is_crowded_out(const struct ones_request *req, uint32_t rank)
{
	return rank >= atomic_load(&req->app->board->hashing.full_from);
}

/* By the attempts at the account; for a browser that the account knows, by its own attempts alone. */
static enum db_status rank_login(struct ones_request *req)
{
	struct password_check *check = req->password_check;
	const struct session_key *device = check->throttle.subject.device;
	struct rates *rates = &req->app->board->login_rates;
	enum db_status status = DB_OK;
	bool is_known = false;
	uint32_t rank;

	if (device != NULL && check->user != NULL)
		status = browsers_knows(req->app->rule.db, check->user->id, device, &is_known);
	if (status != DB_OK)
		return status;
	rank = is_known ? login_rank_of_browser(rates, device, clock_monotonic_ms())
	                : login_rank_of_name(rates, check->throttle.subject.username, clock_monotonic_ms());
	if (rank > check->rank)
		check->rank = rank;
	return DB_OK;
}

/*
 * Order the check of the password: ONES_RESULT_PENDING. A throttled login is refused here, before it waits for the
 * hasher.
 */
static enum ones_result start_password_check(struct ones_request *req, const char *username, const char *password,
                                             const char *new_password, struct ones_login *login)
{
	const struct settings *settings = req->app->settings;
	const struct password_cost cost = {.memory = settings->login.memory, .passes = settings->login.passes};
	struct password_check *check = req->password_check;
	const char *subject = users_login_subject(check, username);
	struct db *db = req->app->rule.db;
	enum db_status status;
	int64_t wait_s;

	if (subject == NULL)
		return ONES_RESULT_FAILED;
	status = users_find_login(db, check, username, &check->user);
	if (status != DB_OK)
		return exchange_result(status);
	begin_throttle(req, subject, check->user, &check->throttle);
	status = throttle_check(db, &check->throttle.policy, &check->throttle.subject, &wait_s);
	if (status != DB_OK)
		return exchange_result(status);
	if (wait_s > 0)
		return throttled(req, wait_s, login);
	if (check->job_count == 0) {
		status = rank_login(req);
		if (status != DB_OK)
			return exchange_result(status);
		if (is_crowded_out(req, check->rank))
			return too_busy(req);
	}
	password_job_begin(&check->job, &cost, check->user != NULL ? check->user->password : NULL, password,
	                   new_password);
	check->job.is_closed = check->user != NULL && !check->user->is_active;
	check->is_answered = false;
	check->job_count++;
	req->times.ordered = clock_monotonic_us();
	return ONES_RESULT_PENDING;
}

/* ONES_RESULT_OK when the password was that of password_check->user. */
static enum ones_result evaluate_answer(struct ones_request *req, struct ones_login *login)
{
	struct password_check *check = req->password_check;
	const struct login_throttle *throttle = &check->throttle;
	const struct client client = exchange_client(req);
	bool is_right = check->answer.match == PASSWORD_RIGHT;
	struct db *db = req->app->rule.db;
	enum db_status status;
	int64_t wait_s;

	if (check->answer.match == PASSWORD_NOT_LOOKED_AT) {
		log_error("password_not_looked_at", LOG_STR("problem", "out of memory"));
		return too_busy(req);
	}
	if (is_right) {
		status = throttle_check(db, &throttle->policy, &throttle->subject, &wait_s);
	} else {
		status = throttle_count_failure(db, &throttle->policy, &throttle->subject, &wait_s);
		if (status == DB_OK)
			status = rule_login_failed(&req->app->rule, req, check->user, &client);
	}
	if (status != DB_OK)
		return exchange_result(status);
	if (wait_s > 0)
		return throttled(req, wait_s, login);
	return is_right ? ONES_RESULT_OK : ONES_RESULT_INVALID;
}

/* The first run of the handler: ONES_RESULT_PENDING, or why nothing is hashed. */
static enum ones_result begin_hashing(struct ones_request *req)
{
	uint32_t rank =
		login_rank_of_address(&req->app->board->login_rates, req->http->remote_addr, clock_monotonic_ms());

	/* Refused before it costs anything. */
	if (is_crowded_out(req, rank) || fcgi_has_hung_up(req->http->fcgi))
		return too_busy(req);
	req->password_check = talloc_zero(req, struct password_check);
	if (req->password_check == NULL)
		return ONES_RESULT_FAILED;
	req->password_check->rank = rank;
	return ONES_RESULT_PENDING;
}

/* False: that is a mistake of the module's, which is logged. */
static bool may_hash(const struct ones_request *req)
{
	if (!req->route->declared.hashes)
		log_error("password_not_looked_at", LOG_STR("route", req->route->declared.path),
		          LOG_STR("hint", "it needs .hashes = true"));
	return req->route->declared.hashes;
}

/* Of the first one there is an answer, which is none to the second. */
static enum ones_result second_password(const struct ones_request *req)
{
	exchange_warn(req, "a second password: a request has one looked at");
	return ONES_RESULT_FAILED;
}

enum ones_result check_password(struct ones_request *req, const char *username, const char *password,
                                const char *new_password, struct user **user, struct ones_login *login)
{
	enum ones_result result;

	if (!may_hash(req))
		return ONES_RESULT_FAILED;
	if (req->password_check == NULL) {
		result = begin_hashing(req);
		return result == ONES_RESULT_PENDING
		               ? start_password_check(req, username, password, new_password, login)
		               : result;
	}
	if (req->password_check->job.only_hashes)
		return second_password(req);
	result = evaluate_answer(req, login);
	*user = req->password_check->user;
	return result;
}

enum ones_result hash_password(struct ones_request *req, const char *password)
{
	const struct settings *settings = req->app->settings;
	const struct password_cost cost = {.memory = settings->login.memory, .passes = settings->login.passes};
	enum ones_result result;

	if (!may_hash(req))
		return ONES_RESULT_FAILED;
	if (req->password_check != NULL && !req->password_check->job.only_hashes)
		return second_password(req);
	if (req->password_check != NULL)
		return checked_new_hash(req) != NULL ? ONES_RESULT_OK : too_busy(req);
	result = begin_hashing(req);
	if (result != ONES_RESULT_PENDING)
		return result;
	password_job_begin_new(&req->password_check->job, &cost, password);
	req->password_check->job_count++;
	req->times.ordered = clock_monotonic_us();
	return ONES_RESULT_PENDING;
}

enum ones_result upgrade_hash(struct ones_request *req, const char *username, const char *password, struct user *user,
                              struct ones_login *login)
{
	struct password_check *check = req->password_check;
	bool replaced;
	enum db_status status;

	if (check->answer.new_hash[0] == '\0')
		return ONES_RESULT_OK;
	status = users_upgrade_password(req->app->rule.db, req, user->id, user->password, check->answer.new_hash,
	                                &replaced);
	if (status != DB_OK)
		return exchange_result(status);
	if (replaced) {
		user->password = check->answer.new_hash;
		return ONES_RESULT_OK;
	}
	if (check->job_count == JOBS_MAX)
		return too_busy(req);
	return start_password_check(req, username, password, NULL, login);
}

const char *checked_new_hash(const struct ones_request *req)
{
	const char *hash = req->password_check->answer.new_hash;

	return hash[0] != '\0' ? hash : NULL;
}

const struct session_key *checked_device(const struct ones_request *req)
{
	return req->password_check->throttle.subject.device;
}

const struct password_job *app_job(const struct ones_request *req, uint32_t *rank)
{
	const struct password_check *check = req->password_check;

	if (check == NULL || check->job_count == 0 || check->is_answered)
		return NULL;
	if (rank != NULL)
		*rank = check->rank;
	return &check->job;
}

void password_check_answered(struct ones_request *req, const struct password_answer *answer)
{
	struct password_check *check = req->password_check;

	check->answer = *answer;
	check->answer.new_hash[sizeof answer->new_hash - 1] = '\0';
	check->is_answered = true;
	sodium_memzero(check->job.password, sizeof check->job.password);
	sodium_memzero(check->job.new_password, sizeof check->job.new_password);
	req->times.parked_us += clock_monotonic_us() - req->times.ordered;
	req->times.hashing_us += answer->hashing_us;
}
