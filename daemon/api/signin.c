/* Signing in and out: where passwords, tickets, the rule and the cookies come together. */
#include "api/key_cookie.h"
#include "api/keys.h"
#include "api/language.h"
#include "api/new_password.h"
#include "api/password_check.h"
#include "api/request_data.h"
#include "api/request_db.h"
#include "api/session_check.h"
#include "api/session_lists.h"
#include "api/signin.h"
#include "session/browsers.h"
#include "session/tickets.h"
#include "session/users.h"

#include <sodium.h>
#include <string.h>

/* The device cookie that a browser gets, and the one that it has. */
struct device {
	char token[TOKEN_LENGTH + 1];
	struct session_key key;
	struct session_key presented;
};

/* Which account is to be signed in: by name and password, or by a ticket. */
static enum ones_result authenticate(struct ones_request *req, const struct ones_credentials *credentials,
                                     const struct login_request *request, struct user **user, struct ones_login *login)
{
	const struct client client = exchange_client(req);
	enum ones_result result;
	enum db_status status;

	if (request->ticket != NULL) {
		status = tickets_find(req->app->rule.db, req, request->ticket, request->form, &client, user);
		return status == DB_OK && *user == NULL ? ONES_RESULT_TICKET_GONE : exchange_result(status);
	}
	result = check_password(req, credentials->username, credentials->password, NULL, user, login);
	return result == ONES_RESULT_OK ? upgrade_hash(req, credentials->username, credentials->password, *user, login)
	                                : result;
}

/*
 * A browser without a device cookie gets one with the ticket: without it, the form that brings the ticket could not be
 * told from one of another browser that has seen the ticket.
 */
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

void signin_issue_ticket(struct ones_request *req, const struct user *user, struct ones_login *login)
{
	char *ticket = talloc_size(req, TOKEN_LENGTH + 1);
	struct session_key key;

	if (ticket == NULL)
		return;
	token_generate(ticket);
	key = token_key(ticket);
	if (tickets_issue(req->app->rule.db, user->id, &key) == DB_OK)
		login->ticket = ticket;
}

/* With it the question whether to take over is answered without the password. */
static void issue_ticket(struct ones_request *req, const struct user *user, struct ones_login *login)
{
	signin_issue_ticket(req, user, login);
	if (login->ticket != NULL)
		name_browser(req);
}

enum ones_result signin_describe(struct ones_request *req, enum rule_login_result made,
                                 const struct rule_login *by_rule, struct ones_login *login)
{
	login->session = by_rule->session;
	login->delete_at = by_rule->delete_at;
	login->retry_after_s = by_rule->wait_s;
	if (!describe_sessions(req, &by_rule->displaced, &login->displaced) ||
	    !describe_sessions(req, &by_rule->conflicting, &login->conflicting))
		return ONES_RESULT_FAILED;
	switch (made) {
	case RULE_LOGIN_OK: return ONES_RESULT_OK;
	case RULE_LOGIN_STALE: return ONES_RESULT_INVALID;
	case RULE_LOGIN_ENDED: return ONES_RESULT_ENDED;
	case RULE_LOGIN_TICKET_GONE: return ONES_RESULT_TICKET_GONE;
	case RULE_LOGIN_LIMIT: return ONES_RESULT_LIMIT;
	case RULE_LOGIN_COOLDOWN:
		counters_add(&req->app->board->counters, COUNTER_THROTTLED);
		return ONES_RESULT_COOLDOWN;
	case RULE_LOGIN_KEY_SEEN: return ONES_RESULT_DUPLICATE;
	case RULE_LOGIN_CANCELLED: return ONES_RESULT_BUSY;
	case RULE_LOGIN_UNPROVEN: return by_rule->unproven;
	case RULE_LOGIN_REFUSED: req->refusal = by_rule->refusal; return ONES_RESULT_REFUSED;
	case RULE_LOGIN_FAILED: return ONES_RESULT_FAILED;
	default: return ONES_RESULT_UNAVAILABLE;
	}
}

/*
 * The key by which the form is recognised when it is sent once more; false: there is none. That of a ticket counts only
 * together with the device cookie, for it brings no password.
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

/* A login gives the browser another device cookie, which is stored with its session. Programs may take no cookie. */
static void request_device(const struct ones_request *req, bool takes_cookies, struct device *device,
                           struct login_request *request)
{
	if (takes_cookies) {
		token_generate(device->token);
		device->key = token_key(device->token);
		request->device = &device->key;
	}
	if (device_cookie_read(req, &device->presented))
		request->presented_device = &device->presented;
}

void signin_remember_browser(struct ones_request *req, const struct login_request *request,
                             const struct rule_login *made)
{
	const struct session_key *former = made->has_former_device ? &made->former_device : request->presented_device;

	(void)browsers_remember(req->app->rule.db, request->user->id, former, request->device);
}

/*
 * A browser may present more than one live session: signing out ends all of them, and a login replaces all of them.
 * `but` (may be NULL) is ended by other means.
 */
static enum db_status end_presented(struct ones_request *req, const struct session_key *but,
                                    struct ones_refusal *refusal)
{
	const struct client client = exchange_client(req);
	const struct app_preview *preview = &req->preview;
	const struct app_lookup *lookup = &req->lookup;
	enum db_status status = DB_OK;

	for (size_t i = 0; status == DB_OK && lookup->result != NULL && i < preview->session_keys; i++) {
		const struct session_key *key = &preview->keys[i];

		if ((but == NULL || memcmp(key, but, sizeof *key) != 0) &&
		    rule_may_be_live(&req->app->rule, lookup->result, lookup->first + i))
			status = rule_logout(&req->app->rule, req, key, &client, refusal);
	}
	return status;
}

/* The presented session that a login of the account replaces: a live one of the same account, else that of the hook. */
static const struct session_key *presented_by(struct ones_request *req, int64_t user_id)
{
	const struct client client = exchange_client(req);
	const struct app_lookup *lookup = &req->lookup;

	if (req->verdict.live && req->verdict.session.user.id == user_id)
		return &req->key;
	for (size_t i = 0; lookup->result != NULL && i < req->preview.session_keys; i++) {
		struct rule_verdict verdict;

		if (rule_is_final(&req->app->rule, lookup->result, lookup->first + i) &&
		    rule_check(&req->app->rule, req, lookup->result, lookup->first + i, &client, &verdict) == DB_OK &&
		    verdict.live && verdict.session.user.id == user_id)
			return &req->preview.keys[i];
	}
	/* What was kept for nobody, by the daemon's own cookie, goes along. */
	if (!req->verdict.live && keys_own(req) != NULL)
		return keys_own(req);
	return req->has_key ? &req->key : NULL;
}

static bool has_hung_up(const void *connection)
{
	return fcgi_has_hung_up(connection);
}

/*
 * Have the rule carry out the login; the request, and the cookie or login->token, are the new session's then.
 * `wants_token`: no cookie is to be set.
 */
static enum ones_result begin_session(struct ones_request *req, const struct login_request *wanted, bool wants_token,
                                      struct ones_login *login)
{
	const bool is_in_answer = keys_go_into_answer(req, wants_token);
	const struct login_peer peer = {.has_hung_up = has_hung_up, .connection = req->http->fcgi};
	struct client client = exchange_client(req);
	struct login_request request = *wanted;
	struct rule_login by_rule = {0};
	char token[TOKEN_LENGTH + 1];
	struct session_key key;
	struct device device = {0};
	enum rule_login_result made;
	enum ones_result result;

	/* The key would reach no client: a click that was cancelled by the next one would end what that one begins. */
	if (fcgi_has_hung_up(req->http->fcgi))
		return ONES_RESULT_BUSY;
	client.language = language_for_mail(req);
	token_generate(token);
	key = token_key(token);
	request.key = &key;
	request.peer = &peer;
	request.presented = presented_by(req, request.user->id);
	/* A new password for a session leaves the browser what it is. */
	if (request.new_password_hash == NULL || request.proof != NULL)
		request_device(req, !is_in_answer, &device, &request);
	made = rule_login(&req->app->rule, req, &request, &client, &by_rule);
	result = signin_describe(req, made, &by_rule, login);
	if (result == ONES_RESULT_OK) {
		/* Whatever becomes of that, the login stands. */
		(void)end_presented(req, request.presented, &by_rule.refusal);
		keys_give(req, token, is_in_answer, login);
		keys_forget(&req->preview);
		req->has_key = true;
		req->key = key;
		req->verdict = (struct rule_verdict){
			.live = true, .now = by_rule.session.proved_at, .session = by_rule.session};
		request_data_rebind(req);
	}
	if (result == ONES_RESULT_OK && request.device != NULL) {
		device_cookie_write(req, device.token);
		signin_remember_browser(req, &request, &by_rule);
	}
	sodium_memzero(token, sizeof token);
	sodium_memzero(&device, sizeof device);
	return result;
}

/* A login by ticket keeps that ticket, for no longer than it lasts: a new one takes a password. */
static void offer_ticket(struct ones_request *req, const struct ones_credentials *credentials, const struct user *user,
                         struct ones_login *login)
{
	if (credentials->ticket != NULL)
		login->ticket = credentials->ticket;
	else
		issue_ticket(req, user, login);
}

void signin_log_refused(const struct ones_request *req, const struct user *user, enum ones_result result)
{
	const char *reason = result == ONES_RESULT_CLOSED    ? "account_closed"
	                     : result == ONES_RESULT_LIMIT   ? "session_limit"
	                     : result == ONES_RESULT_REFUSED ? req->refusal.code
	                                                     : "cooldown";

	log_info("login_refused", LOG_INT("user_id", user->id), LOG_STR("username", user->username),
	         LOG_STR("reason", reason), LOG_STR("ip", req->http->remote_addr));
}

/* False: the handler has not looked whether the form has what it is to have. */
static bool is_given(const struct ones_request *req, const char *one, const char *other, const char *problem)
{
	bool are_given = one != NULL && other != NULL;

	if (!are_given)
		exchange_warn(req, problem);
	return are_given;
}

enum ones_result ones_login(struct ones_request *req, const struct ones_credentials *given, struct ones_login *login)
{
	struct ones_credentials credentials = *given;
	struct login_request request = {.take_over = credentials.take_over};
	struct session_key ticket, form;
	struct user *user = NULL;
	enum ones_result result;

	*login = (struct ones_login){0};
	if (!request_db_take(req, "ones_login"))
		return ONES_RESULT_FAILED;
	if (credentials.ticket != NULL) {
		if (!token_is_well_formed(credentials.ticket))
			return ONES_RESULT_TICKET_GONE;
		ticket = token_key(credentials.ticket);
		request.ticket = &ticket;
	} else {
		if (!is_given(req, credentials.username, credentials.password,
		              "ones_login() with a name or password that is NULL, and no ticket"))
			return ONES_RESULT_FAILED;
		credentials.username = ones_plain_name(req, credentials.username);
		if (credentials.username == NULL)
			return ONES_RESULT_FAILED;
	}
	if (credentials.wants_token && !req->app->settings->session.bearer) {
		exchange_warn(req, "ones_login() with .wants_token, and session.bearer is off");
		return ONES_RESULT_FAILED;
	}
	/* Before the password is looked at, or the answer would tell, without a trace, whether it is right. */
	if (credentials.checks_cookies && !key_cookie_is_any(req))
		return ONES_RESULT_NO_COOKIES;
	if (form_key(req, &credentials, &form))
		request.form = &form;
	result = authenticate(req, &credentials, &request, &user, login);
	if (result != ONES_RESULT_OK)
		return result;
	request.user = user;
	if (credentials.ticket == NULL && !user->is_active)
		result = ONES_RESULT_CLOSED;
	else
		result = begin_session(req, &request, credentials.wants_token, login);
	if (result == ONES_RESULT_CLOSED || result == ONES_RESULT_LIMIT || result == ONES_RESULT_COOLDOWN ||
	    result == ONES_RESULT_REFUSED)
		signin_log_refused(req, user, result);
	if (result == ONES_RESULT_LIMIT && req->app->settings->session.on_limit == ON_LIMIT_ASK)
		offer_ticket(req, &credentials, user, login);
	return result;
}

enum ones_result ones_sign_in(struct ones_request *req, const struct ones_proof *proof, struct ones_login *login)
{
	struct login_proof used = {.db = ones_db(req), .use = proof->in_transaction, .context = proof->context};
	struct login_request request = {.proof = &used, .new_password_hash = proof->new_password_hash};
	struct user *user;
	enum ones_result result;
	enum db_status status;

	*login = (struct ones_login){0};
	if (!request_db_take(req, "ones_sign_in") || used.db == NULL)
		return ONES_RESULT_FAILED;
	status = users_find_by_id(req->app->rule.db, req, proof->user_id, &user);
	if (status != DB_OK)
		return exchange_result(status);
	if (user == NULL)
		return ONES_RESULT_INVALID;
	request.user = user;
	result = user->is_active ? begin_session(req, &request, false, login) : ONES_RESULT_CLOSED;
	if (result == ONES_RESULT_CLOSED || result == ONES_RESULT_REFUSED)
		signin_log_refused(req, user, result);
	return result;
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
	/* Who presents a key so has no cookie of the daemon's. */
	const bool is_by_bearer = req->preview.bearer_at < req->preview.session_keys;
	const struct client client = exchange_client(req);
	enum db_status status;

	if (!request_db_take(req, "ones_logout"))
		return ONES_RESULT_FAILED;
	status = end_presented(req, &req->key, &req->refusal);
	if (status == DB_OK && req->verdict.live)
		status = rule_logout(&req->app->rule, req, &req->key, &client, &req->refusal);
	if (status != DB_OK)
		return exchange_result(status);
	if (!is_by_bearer)
		key_cookie_write(req, NULL);
	keys_forget(&req->preview);
	req->verdict = (struct rule_verdict){.reason = ONES_REASON_LOGGED_OUT};
	req->ending.reason = ONES_REASON_LOGGED_OUT;
	req->has_key = false;
	request_data_rebind(req);
	return ONES_RESULT_OK;
}

enum ones_result ones_end_session(struct ones_request *req, const char *id, bool *found)
{
	const struct client client = exchange_client(req);

	*found = false;
	if (!request_db_take(req, "ones_end_session"))
		return ONES_RESULT_FAILED;
	if (!req->verdict.live || id == NULL || !session_id_is_well_formed(id))
		return ONES_RESULT_OK;
	if (strcasecmp(id, req->verdict.session.id) == 0) {
		*found = true;
		return ones_logout(req);
	}
	return exchange_result(rule_end_session(&req->app->rule, req, &req->key, id, &client, found, &req->refusal));
}

/* Before the first run, which has it hashed. */
static enum ones_result look_at_new_password(struct ones_request *req, const char *new_password)
{
	const struct ones_user *own = &req->verdict.session.user;
	struct user *user;
	enum db_status status;

	if (req->password_check != NULL)
		return ONES_RESULT_OK;
	status = users_find_by_id(req->app->rule.db, req, own->id, &user);
	if (status != DB_OK)
		return exchange_result(status);
	return new_password_will_do(req, new_password, own->username, user != NULL ? user->email : NULL)
	               ? ONES_RESULT_OK
	               : ONES_RESULT_UNACCEPTABLE;
}

enum ones_result ones_change_password(struct ones_request *req, const char *current_password, const char *new_password,
                                      struct ones_login *changed)
{
	struct login_request request = {0};
	struct user *user = NULL;
	enum ones_result result;
	enum db_status status;

	*changed = (struct ones_login){0};
	if (!request_db_take(req, "ones_change_password"))
		return ONES_RESULT_FAILED;
	if (!is_given(req, current_password, new_password, "ones_change_password() with a password that is NULL"))
		return ONES_RESULT_FAILED;
	if (!req->verdict.live)
		return ONES_RESULT_ENDED;
	result = look_at_new_password(req, new_password);
	if (result != ONES_RESULT_OK)
		return result;
	result =
		check_password(req, req->verdict.session.user.username, current_password, new_password, &user, changed);
	if (result != ONES_RESULT_OK)
		return result;
	if (user->is_active) {
		request.new_password_hash = checked_new_hash(req);
		if (request.new_password_hash == NULL)
			return ONES_RESULT_FAILED;
		request.user = user;
		result = begin_session(req, &request, false, changed);
	} else {
		/* Disabled since the hook has run. */
		result = ONES_RESULT_ENDED;
	}
	if (result == ONES_RESULT_OK)
		(void)browsers_forget(req->app->rule.db, user->id, checked_device(req));
	if (result == ONES_RESULT_ENDED) {
		status = session_recheck(req);
		return status == DB_OK ? ONES_RESULT_ENDED : exchange_result(status);
	}
	return result;
}
