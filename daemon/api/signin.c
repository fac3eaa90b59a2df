/* Signing in and out: where passwords, the throttle of guesses, the rule and the cookies come together. */
#include "api/app.h"
#include "api/data.h"
#include "api/key_cookie.h"
#include "api/login_rank.h"
#include "api/places.h"
#include "base/clock.h"
#include "base/log.h"
#include "session/attempts.h"
#include "session/browsers.h"
#include "session/tickets.h"
#include "session/users.h"

#include <sodium.h>
#include <string.h>

/* How often a look at a password may have to begin anew, because the hash was replaced meanwhile. */
#define LOOKS_MAX 3

/* The device cookie that a browser gets, and the one that it has. */
struct device {
	char token[TOKEN_LENGTH + 1];
	struct session_key key;
	struct session_key presented;
};

/* Somebody at the password. */
struct guess {
	struct attempt attempt;
	struct attempts_policy policy;
	struct session_key device;
};

/* What is kept of a request from one run of its handler to the next, while its password is looked at elsewhere. */
struct sign_in {
	int looks;
	uint32_t rank;
	struct guess guess;
	struct user *user; /* NULL: nobody has the name */
	bool is_answered;
	struct password_job job;
	struct password_answer answer;
};

static void begin_guess(struct ones_request *req, const char *username, const struct user *user, struct guess *guess)
{
	const struct settings *settings = req->app->settings;

	*guess = (struct guess){
		.attempt = {.username = username, .user_id = user != NULL ? user->id : 0, .ip = req->http->remote_addr},
		.policy = {.per_user = settings->login.attempts_per_user,
	                   .per_address = settings->login.attempts_per_address,
	                   .window_ms = settings->login.attempts_window},
	};
	if (device_cookie_read(req, &guess->device))
		guess->attempt.device = &guess->device;
}

static enum ones_result throttled(struct ones_request *req, int64_t wait_s, struct ones_login *login)
{
	counters_add(&req->app->board->counters, COUNTER_THROTTLED);
	login->retry_after_s = wait_s;
	return ONES_THROTTLED;
}

static enum ones_result busy(struct ones_request *req)
{
	counters_add(&req->app->board->counters, COUNTER_THROTTLED);
	return ONES_BUSY;
}

/* Nobody who has tried as much of late finds a place to wait. */
static bool is_crowded_out(const struct ones_request *req, uint32_t rank)
{
	return rank >= atomic_load(&req->app->board->hashing_rank);
}

/* What was tried at the account counts, unless it is from a browser that the account knows. */
static enum db_status rank_guess(struct ones_request *req, const char *username)
{
	struct sign_in *sign_in = req->sign_in;
	const struct session_key *device = sign_in->guess.attempt.device;
	struct rates *rates = &req->app->board->login_rates;
	enum db_status status = DB_OK;
	bool is_known = false;
	uint32_t rank;

	if (device != NULL && sign_in->user != NULL)
		status = browsers_knows(req->app->rule.db, sign_in->user->id, device, &is_known);
	if (status != DB_OK)
		return status;
	rank = is_known ? login_rank_of_browser(rates, device, clock_monotonic_ms())
	                : login_rank_of_name(rates, username, clock_monotonic_ms());
	if (rank > sign_in->rank)
		sign_in->rank = rank;
	return DB_OK;
}

/*
 * May there be a look at the password? Whoever is throttled is told so before there is a wait for it. ONES_PENDING when
 * the look is ordered.
 */
static enum ones_result order_look(struct ones_request *req, const char *username, const char *password,
                                   const char *new_password, struct ones_login *login)
{
	const struct settings *settings = req->app->settings;
	const struct password_cost cost = {.memory = settings->login.memory, .passes = settings->login.passes};
	struct sign_in *sign_in = req->sign_in;
	struct db *db = req->app->rule.db;
	enum db_status status;
	int64_t wait_s;

	status = users_find(db, sign_in, username, &sign_in->user);
	if (status != DB_OK)
		return app_result(status);
	begin_guess(req, username, sign_in->user, &sign_in->guess);
	status = attempts_look(db, &sign_in->guess.policy, &sign_in->guess.attempt, &wait_s);
	if (status != DB_OK)
		return app_result(status);
	if (wait_s > 0)
		return throttled(req, wait_s, login);
	if (sign_in->looks == 0) {
		status = rank_guess(req, username);
		if (status != DB_OK)
			return app_result(status);
		if (is_crowded_out(req, sign_in->rank))
			return busy(req);
	}
	password_job_begin(&sign_in->job, &cost, sign_in->user != NULL ? sign_in->user->password : NULL, password,
	                   new_password);
	sign_in->job.is_closed = sign_in->user != NULL && !sign_in->user->is_active;
	sign_in->is_answered = false;
	sign_in->looks++;
	req->times.ordered = clock_monotonic_us();
	return ONES_PENDING;
}

/* ONES_OK when the password was that of sign_in->user. */
static enum ones_result judge_answer(struct ones_request *req, struct ones_login *login)
{
	struct sign_in *sign_in = req->sign_in;
	const struct guess *guess = &sign_in->guess;
	const struct client client = app_client(req);
	bool is_right = sign_in->answer.match == PASSWORD_RIGHT;
	struct db *db = req->app->rule.db;
	enum db_status status;
	int64_t wait_s;

	if (sign_in->answer.match == PASSWORD_NOT_LOOKED_AT) {
		log_error("password_not_looked_at", LOG_STR("problem", "out of memory"));
		return busy(req);
	}
	if (is_right) {
		status = attempts_look(db, &guess->policy, &guess->attempt, &wait_s);
	} else {
		status = attempts_failed(db, &guess->policy, &guess->attempt, &wait_s);
		if (status == DB_OK)
			status = rule_login_failed(&req->app->rule, req, sign_in->user, &client);
	}
	if (status != DB_OK)
		return app_result(status);
	if (wait_s > 0)
		return throttled(req, wait_s, login);
	/* Nobody would get the cookie of a session that others were signed out for. */
	if (is_right && fcgi_has_hung_up(req->http->fcgi))
		return busy(req);
	return is_right ? ONES_OK : ONES_INVALID;
}

/*
 * ONES_OK when the password is that of the account with that name, which is *user then; ONES_PENDING when the handler
 * is to be run again for that.
 */
static enum ones_result check_password(struct ones_request *req, const char *username, const char *password,
                                       const char *new_password, struct user **user, struct ones_login *login)
{
	enum ones_result result;

	if (!req->route->hashes) {
		log_error("password_not_looked_at", LOG_STR("route", req->route->path),
		          LOG_STR("hint", "it needs .hashes = true"));
		return ONES_FAILED;
	}
	if (req->sign_in == NULL) {
		uint32_t rank = login_rank_of_address(&req->app->board->login_rates, req->http->remote_addr,
		                                      clock_monotonic_ms());

		/* Told before it costs anything. */
		if (is_crowded_out(req, rank) || fcgi_has_hung_up(req->http->fcgi))
			return busy(req);
		req->sign_in = talloc_zero(req, struct sign_in);
		if (req->sign_in == NULL)
			return ONES_FAILED;
		req->sign_in->rank = rank;
		return order_look(req, username, password, new_password, login);
	}
	result = judge_answer(req, login);
	*user = req->sign_in->user;
	return result;
}

const struct password_job *app_job(const struct ones_request *req, uint32_t *rank)
{
	const struct sign_in *sign_in = req->sign_in;

	if (sign_in == NULL || sign_in->looks == 0 || sign_in->is_answered)
		return NULL;
	if (rank != NULL)
		*rank = sign_in->rank;
	return &sign_in->job;
}

void app_answer_job(struct ones_request *req, const struct password_answer *answer)
{
	struct sign_in *sign_in = req->sign_in;

	sign_in->answer = *answer;
	sign_in->answer.new_hash[sizeof answer->new_hash - 1] = '\0';
	sign_in->is_answered = true;
	sodium_memzero(sign_in->job.password, sizeof sign_in->job.password);
	sodium_memzero(sign_in->job.new_password, sizeof sign_in->job.new_password);
	req->times.parked_us += clock_monotonic_us() - req->times.ordered;
	req->times.hashing_us += answer->hashing_us;
}

/*
 * The password is right, and its hash of another form or cost than ours are now: make it one of ours. When somebody
 * else has done so at this moment, theirs is looked at.
 */
static enum ones_result upgrade_hash(struct ones_request *req, const struct ones_credentials *credentials,
                                     struct user *user, struct ones_login *login)
{
	struct sign_in *sign_in = req->sign_in;
	bool replaced;
	enum db_status status;

	if (sign_in->answer.new_hash[0] == '\0')
		return ONES_OK;
	status = users_upgrade_password(req->app->rule.db, req, user->id, user->password, sign_in->answer.new_hash,
	                                &replaced);
	if (status != DB_OK)
		return app_result(status);
	if (replaced) {
		user->password = sign_in->answer.new_hash;
		return ONES_OK;
	}
	if (sign_in->looks == LOOKS_MAX)
		return busy(req);
	return order_look(req, credentials->username, credentials->password, NULL, login);
}

/* Who is to be signed in, by name and password or by a ticket. */
static enum ones_result authenticate(struct ones_request *req, const struct ones_credentials *credentials,
                                     const struct rule_order *order, struct user **user, struct ones_login *login)
{
	const struct client client = app_client(req);
	enum ones_result result;
	enum db_status status;

	if (order->ticket != NULL) {
		status = tickets_find(req->app->rule.db, req, order->ticket, order->form, &client, user);
		return status == DB_OK && *user == NULL ? ONES_TICKET_GONE : app_result(status);
	}
	result = check_password(req, credentials->username, credentials->password, NULL, user, login);
	return result == ONES_OK ? upgrade_hash(req, credentials, *user, login) : result;
}

/* Where it is not known yet, the ticket's form could not be told from that of somebody who has seen the ticket. */
static void name_browser(struct ones_request *req)
{
	char token[TOKEN_LENGTH + 1];
	struct session_key key;

	if (device_cookie_read(req, &key))
		return;
	token_generate(token);
	device_cookie_write(req, token);
	sodium_memzero(token, sizeof token);
}

/* The person may answer the question whether to take over without giving the password again. */
static void issue_ticket(struct ones_request *req, const struct user *user, struct ones_login *login)
{
	char *ticket = talloc_size(req, TOKEN_LENGTH + 1);
	struct session_key key;

	if (ticket == NULL)
		return;
	token_generate(ticket);
	key = token_key(ticket);
	if (tickets_issue(req->app->rule.db, user->id, &key) != DB_OK)
		return;
	login->ticket = ticket;
	name_browser(req);
}

/* What the rule made of it, in a handler's words. */
static enum ones_result describe(struct ones_request *req, enum rule_login_result made,
                                 const struct rule_login *by_rule, struct ones_login *login)
{
	login->session = by_rule->session;
	login->retry_after_s = by_rule->wait_s;
	if (!places_describe(req, &by_rule->displaced, &login->displaced) ||
	    !places_describe(req, &by_rule->in_the_way, &login->in_the_way))
		return ONES_FAILED;
	switch (made) {
	case RULE_LOGIN_OK: return ONES_OK;
	case RULE_LOGIN_STALE: return ONES_INVALID;
	case RULE_LOGIN_ENDED: return ONES_ENDED;
	case RULE_LOGIN_TICKET_GONE: return ONES_TICKET_GONE;
	case RULE_LOGIN_LIMIT: return ONES_LIMIT;
	case RULE_LOGIN_COOLDOWN: counters_add(&req->app->board->counters, COUNTER_THROTTLED); return ONES_COOLDOWN;
	case RULE_LOGIN_FAILED: return ONES_FAILED;
	default: return ONES_UNAVAILABLE;
	}
}

/*
 * By what the form is known when it is sent once more; false: by nothing. That of a ticket counts only together with
 * the device cookie, for it brings no password.
 */
static bool form_key(const struct ones_request *req, const struct ones_credentials *credentials,
                     struct session_key *key)
{
	struct session_key device;

	if (credentials->ticket != NULL && device_cookie_read(req, &device))
		*key = token_key_with(credentials->ticket, &device);
	else if (credentials->ticket == NULL && credentials->form != NULL && token_is_well_formed(credentials->form))
		*key = token_key(credentials->form);
	else
		return false;
	return true;
}

/* A login gives the browser another device cookie, of which its session knows. */
static void order_device(const struct ones_request *req, struct device *device, struct rule_order *order)
{
	token_generate(device->token);
	device->key = token_key(device->token);
	order->device = &device->key;
	if (device_cookie_read(req, &device->presented))
		order->presented_device = &device->presented;
}

/* From now on failures of others at the account do not keep this browser out. That it fails is of no consequence. */
static void remember_browser(struct ones_request *req, const struct rule_order *order, const struct rule_login *made)
{
	const struct session_key *former = made->has_former_device ? &made->former_device : order->presented_device;

	(void)browsers_remember(req->app->rule.db, order->user->id, former, order->device);
}

/*
 * A browser may present more than one session that is live: what it signs out of, or of what another takes the place,
 * is all of them. `but` is ended by other means.
 */
static enum db_status end_presented(struct ones_request *req, const struct session_key *but)
{
	const struct client client = app_client(req);
	const struct app_preview *preview = &req->preview;
	const struct app_look_up *look_up = &req->look_up;
	enum db_status status = DB_OK;

	for (size_t i = 0; status == DB_OK && look_up->reading != NULL && i < preview->key_count; i++) {
		const struct session_key *key = &preview->keys[i];

		if ((but == NULL || memcmp(key, but, sizeof *key) != 0) &&
		    rule_may_be_live(&req->app->rule, look_up->reading, look_up->first + i))
			status = rule_logout(&req->app->rule, req, key, &client);
	}
	return status;
}

/* Of what this browser presents: the account's own session, whose place the new one takes, else the one it is. */
static const struct session_key *presented_by(struct ones_request *req, int64_t user_id)
{
	const struct client client = app_client(req);
	const struct app_look_up *look_up = &req->look_up;

	if (req->verdict.live && req->verdict.session.user.id == user_id)
		return &req->key;
	for (size_t i = 0; look_up->reading != NULL && i < req->preview.key_count; i++) {
		struct rule_verdict verdict;

		if (rule_is_settled(&req->app->rule, look_up->reading, look_up->first + i) &&
		    rule_check(&req->app->rule, req, look_up->reading, look_up->first + i, &client, &verdict) ==
		            DB_OK &&
		    verdict.live && verdict.session.user.id == user_id)
			return &req->preview.keys[i];
	}
	return req->has_key ? &req->key : NULL;
}

/* Have the rule carry out what is ordered for this browser; its cookie and the request are the new session's then. */
static enum ones_result begin_session(struct ones_request *req, const struct rule_order *ordered,
                                      struct ones_login *login)
{
	const struct client client = app_client(req);
	struct rule_order order = *ordered;
	struct rule_login by_rule = {0};
	char token[TOKEN_LENGTH + 1];
	struct session_key key;
	struct device device = {0};
	enum rule_login_result made;
	enum ones_result result;

	token_generate(token);
	key = token_key(token);
	order.key = &key;
	order.presented = presented_by(req, order.user->id);
	if (order.new_password_hash == NULL)
		order_device(req, &device, &order);
	made = rule_login(&req->app->rule, req, &order, &client, &by_rule);
	result = describe(req, made, &by_rule, login);
	if (result == ONES_OK) {
		/* That fails only with the database; the login stands. */
		(void)end_presented(req, order.presented);
		key_cookie_write(req, token);
		req->preview.key_count = 0;
		req->has_key = true;
		req->key = key;
		req->verdict = (struct rule_verdict){.live = true, .session = by_rule.session};
		data_follow(req);
	}
	if (result == ONES_OK && order.device != NULL) {
		device_cookie_write(req, device.token);
		remember_browser(req, &order, &by_rule);
	}
	sodium_memzero(token, sizeof token);
	sodium_memzero(&device, sizeof device);
	return result;
}

/* Whoever has a ticket keeps it, for no longer than it lasts: a new one is for a password. */
static void offer_ticket(struct ones_request *req, const struct ones_credentials *credentials, const struct user *user,
                         struct ones_login *login)
{
	if (credentials->ticket != NULL)
		login->ticket = credentials->ticket;
	else
		issue_ticket(req, user, login);
}

/* The password was right, which nothing else tells of: whoever has stolen it could try it in silence. */
static void log_refused(const struct ones_request *req, const struct user *user, enum ones_result result)
{
	const char *reason = result == ONES_CLOSED  ? "account_closed"
	                     : result == ONES_LIMIT ? "session_limit"
	                                            : "cooldown";

	log_info("login_refused", LOG_INT("user_id", user->id), LOG_STR("username", user->username),
	         LOG_STR("reason", reason), LOG_STR("ip", req->http->remote_addr));
}

enum ones_result ones_login(struct ones_request *req, const struct ones_credentials *given, struct ones_login *login)
{
	struct ones_credentials credentials = *given;
	struct rule_order order = {.take_over = credentials.take_over};
	struct session_key ticket, form;
	struct user *user = NULL;
	enum ones_result result;

	*login = (struct ones_login){0};
	if (credentials.ticket != NULL) {
		if (!token_is_well_formed(credentials.ticket))
			return ONES_TICKET_GONE;
		ticket = token_key(credentials.ticket);
		order.ticket = &ticket;
	} else {
		credentials.username = ones_plain_name(req, credentials.username);
		if (credentials.username == NULL)
			return ONES_FAILED;
	}
	/* Before the password is looked at, or the answer would tell, without a trace, whether it is right. */
	if (credentials.checks_cookies && !key_cookie_is_any(req))
		return ONES_NO_COOKIES;
	if (form_key(req, &credentials, &form))
		order.form = &form;
	result = authenticate(req, &credentials, &order, &user, login);
	if (result != ONES_OK)
		return result;
	order.user = user;
	if (credentials.ticket == NULL && !user->is_active)
		result = ONES_CLOSED;
	else
		result = begin_session(req, &order, login);
	if (result == ONES_CLOSED || result == ONES_LIMIT || result == ONES_COOLDOWN)
		log_refused(req, user, result);
	if (result == ONES_LIMIT && req->app->settings->session.on_limit == ON_LIMIT_ASK)
		offer_ticket(req, &credentials, user, login);
	return result;
}

const char *ones_plain_name(struct ones_request *req, const char *typed)
{
	return users_plain_name(req, typed);
}

const char *ones_form_token(struct ones_request *req)
{
	char *token = talloc_size(req, TOKEN_LENGTH + 1);

	if (token != NULL)
		token_generate(token);
	return token;
}

enum ones_result ones_logout(struct ones_request *req)
{
	const struct client client = app_client(req);
	enum db_status status = end_presented(req, &req->key);

	if (status == DB_OK && req->verdict.live)
		status = rule_logout(&req->app->rule, req, &req->key, &client);
	if (status != DB_OK)
		return app_result(status);
	key_cookie_write(req, NULL);
	req->preview.key_count = 0;
	req->verdict = (struct rule_verdict){.reason = ONES_LOGGED_OUT};
	req->has_key = false;
	data_follow(req);
	return ONES_OK;
}

enum ones_result ones_end_session(struct ones_request *req, const char *id, bool *found)
{
	const struct client client = app_client(req);

	*found = false;
	if (!req->verdict.live || !session_id_is_well_formed(id))
		return ONES_OK;
	if (strcasecmp(id, req->verdict.session.id) == 0) {
		*found = true;
		return ones_logout(req);
	}
	return app_result(rule_end_session(&req->app->rule, req, &req->key, id, &client, found));
}

enum ones_result ones_change_password(struct ones_request *req, const char *current_password, const char *new_password,
                                      struct ones_login *changed)
{
	struct rule_order order = {0};
	struct user *user = NULL;
	enum ones_result result;
	enum db_status status;

	*changed = (struct ones_login){0};
	if (!req->verdict.live)
		return ONES_ENDED;
	if (password_problem(new_password) != NULL)
		return ONES_UNACCEPTABLE;
	result =
		check_password(req, req->verdict.session.user.username, current_password, new_password, &user, changed);
	if (result != ONES_OK)
		return result;
	if (user->is_active) {
		if (req->sign_in->answer.new_hash[0] == '\0')
			return ONES_FAILED;
		order.new_password_hash = req->sign_in->answer.new_hash;
		order.user = user;
		result = begin_session(req, &order, changed);
	} else {
		/* Since the hook has looked. */
		result = ONES_ENDED;
	}
	if (result == ONES_OK)
		(void)browsers_forget(req->app->rule.db, user->id, req->sign_in->guess.attempt.device);
	if (result == ONES_ENDED) {
		status = app_check_session(req);
		return status == DB_OK ? ONES_ENDED : app_result(status);
	}
	return result;
}
