/* Signing in for the site's own programs, which have authenticated the person by themselves. */
#include "api/key_cookie.h"
#include "api/request_db.h"
#include "api/session_lists.h"
#include "api/signin.h"
#include "session/account_terms.h"

#include <sodium.h>

/*
 * The keys of one login; those that the browser has are there where its values have the form of keys. The token is the
 * daemon's, unless the program has given one.
 */
struct keys {
	char token[TOKEN_LENGTH + 1], device_token[TOKEN_LENGTH + 1];
	struct session_key key, device, presented, presented_device, ticket;
};

static const struct session_key *key_of(const char *value, struct session_key *key)
{
	if (value == NULL || !token_is_well_formed(value))
		return NULL;
	*key = token_key(value);
	return key;
}

/* It may be one of the application's own making. */
static const struct session_key *presented_key(const struct ones_request *req, const char *value,
                                               struct session_key *key)
{
	if (value == NULL || !key_from_can_be(&req->app->key_from, value))
		return key_of(value, key);
	*key = token_key_of_any(value);
	return key;
}

static enum ones_result issue(struct ones_request *req, const struct ones_program_login *given, const struct keys *keys,
                              struct ones_issued *issued)
{
	const char *token = given->key == NULL ? keys->token : NULL;
	const char *fields[2];

	issued->token = talloc_strdup(req, token);
	if ((issued->token == NULL && token != NULL) ||
	    !key_cookies_for_others(req, given->is_secure, token, keys->device_token, fields))
		return ONES_RESULT_FAILED;
	issued->session_cookie = fields[0];
	issued->device_cookie = fields[1];
	return ONES_RESULT_OK;
}

static enum ones_result sign_in(struct ones_request *req, const struct ones_program_login *given,
                                const struct user *user, struct keys *keys, struct ones_login *login)
{
	const struct client client = {.ip = given->ip, .user_agent = given->user_agent, .program = req->caller.name};
	struct login_request request = {
		.user = user,
		.key = &keys->key,
		.is_key_given = given->key != NULL,
		.presented = presented_key(req, given->presented, &keys->presented),
		.device = &keys->device,
		.presented_device = key_of(given->device, &keys->presented_device),
		.ticket = key_of(given->ticket, &keys->ticket),
		.take_over = given->take_over,
		.is_trusted = true,
		.is_stale = !given->is_fresh,
	};
	struct rule_login by_rule = {0};
	enum ones_result result;

	result = signin_describe(req, rule_login(&req->app->rule, req, &request, &client, &by_rule), &by_rule, login);
	if (result == ONES_RESULT_OK)
		signin_remember_browser(req, &request, &by_rule);
	return result;
}

enum ones_result ones_sign_in_for(struct ones_request *req, const struct ones_program_login *given,
                                  struct ones_login *login, struct ones_issued *issued)
{
	enum ones_result result = ONES_RESULT_CLOSED;
	enum db_status status;
	struct user *user;
	struct keys keys;

	*login = (struct ones_login){0};
	*issued = (struct ones_issued){0};
	if (!request_db_take(req, "ones_sign_in_for"))
		return ONES_RESULT_FAILED;
	if (given->key != NULL && !key_from_can_be(&req->app->key_from, given->key))
		return ONES_RESULT_UNACCEPTABLE;
	/* The key would reach nobody, and end the session that it is to follow. */
	if (fcgi_has_hung_up(req->http->fcgi))
		return ONES_RESULT_BUSY;
	status = users_find_by_id(req->app->rule.db, req, given->user_id, &user);
	if (status != DB_OK)
		return exchange_result(status);
	if (user == NULL)
		return ONES_RESULT_INVALID;
	token_generate(keys.token);
	token_generate(keys.device_token);
	keys.key = token_key_of_any(given->key != NULL ? given->key : keys.token);
	keys.device = token_key(keys.device_token);
	if (given->ticket != NULL && !token_is_well_formed(given->ticket))
		result = ONES_RESULT_TICKET_GONE;
	else if (user->is_active)
		result = sign_in(req, given, user, &keys, login);
	/* Disabled, or deleted, since it was read. */
	if (result == ONES_RESULT_INVALID)
		result = ONES_RESULT_CLOSED;
	if (result == ONES_RESULT_OK)
		result = issue(req, given, &keys, issued);
	sodium_memzero(&keys, sizeof keys);
	if (result == ONES_RESULT_CLOSED || result == ONES_RESULT_LIMIT || result == ONES_RESULT_COOLDOWN ||
	    result == ONES_RESULT_REFUSED)
		signin_log_refused(req, user, result);
	if (result == ONES_RESULT_LIMIT && req->app->settings->session.on_limit == ON_LIMIT_ASK)
		signin_issue_ticket(req, user, login);
	return result;
}

enum ones_result ones_sessions_of(struct ones_request *req, int64_t user_id, struct ones_places *places)
{
	struct session_info_list list = {0};
	enum db_status status;

	if (!request_db_take(req, "ones_sessions_of"))
		return ONES_RESULT_FAILED;
	status = session_info_live(req->app->rule.db, req, user_id, req->app->settings->session.idle_timeout, &list);
	if (status != DB_OK)
		return exchange_result(status);
	return describe_sessions(req, &list, places) ? ONES_RESULT_OK : ONES_RESULT_FAILED;
}

const char *ones_account_terms_problem(struct ones_request *req, const json_t *terms)
{
	const struct password_cost cost = {.memory = req->app->settings->login.memory,
	                                   .passes = req->app->settings->login.passes};

	return account_terms_problem(req, terms, &cost);
}
