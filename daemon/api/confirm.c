/* Proving again who one is: whether a session is fresh, what others get, and making it so. */
#include "api/keys.h"
#include "api/page_reply.h"
#include "api/password_check.h"
#include "api/request_data.h"
#include "api/request_db.h"
#include "api/session_check.h"
#include "session/confirm.h"

#include <sodium.h>

bool ones_is_fresh(const struct ones_request *req)
{
	const struct rule_verdict *verdict = &req->verdict;

	return verdict->live && verdict->session.proved_at > verdict->now - 1000 * req->app->settings->login.fresh;
}

void ones_reply_stale(struct ones_request *req, const char *back)
{
	bool lost = req->http->method != ONES_METHOD_GET;

	if (!request_is_navigation(req->http))
		req->http->is_program = true;
	if (back == NULL)
		back = page_address(req, NULL);
	if (!ones_can_confirm(req->app))
		ones_reply_problem(req, 401, "stale", "Before this, please sign out, and sign in again.");
	else if (req->http->is_program)
		ones_reply_problem_with(req, 401, "stale", "Please prove first that it is still you.",
		                        json_pack("{s:s}", "confirm", ones_confirm_url(req, NULL, false)));
	else
		ones_reply_redirect(req, ones_confirm_url(req, back, lost));
}

static enum ones_result describe(struct ones_request *req, enum rule_login_result made,
                                 const struct rule_login *by_rule, struct ones_login *login)
{
	login->session = by_rule->session;
	switch (made) {
	case RULE_LOGIN_OK: return ONES_RESULT_OK;
	case RULE_LOGIN_STALE:
	case RULE_LOGIN_ENDED: return ONES_RESULT_ENDED;
	case RULE_LOGIN_REFUSED: req->refusal = by_rule->refusal; return ONES_RESULT_REFUSED;
	case RULE_LOGIN_FAILED: return ONES_RESULT_FAILED;
	default: return ONES_RESULT_UNAVAILABLE;
	}
}

/* The cookie and the request are those of the new key then. */
static enum ones_result replace_key(struct ones_request *req, const struct user *user, struct ones_login *login)
{
	const struct client client = exchange_client(req);
	struct confirmation confirmation = {.user = user, .presented = &req->key};
	struct rule_login by_rule = {0};
	char token[TOKEN_LENGTH + 1];
	struct session_key key;
	enum ones_result result;

	/* The key would reach no client: a click that was cancelled by the next one would end the session. */
	if (fcgi_has_hung_up(req->http->fcgi))
		return ONES_RESULT_BUSY;
	token_generate(token);
	key = token_key(token);
	confirmation.key = &key;
	result =
		describe(req, confirm_session(&req->app->rule, req, &confirmation, &client, &by_rule), &by_rule, login);
	if (result == ONES_RESULT_OK) {
		keys_give(req, token, keys_go_into_answer(req, false), login);
		keys_forget(&req->preview);
		req->key = key;
		req->verdict = (struct rule_verdict){
			.live = true, .now = by_rule.session.proved_at, .session = by_rule.session};
		request_data_rebind(req);
	}
	sodium_memzero(token, sizeof token);
	return result;
}

enum ones_result ones_confirm(struct ones_request *req, const char *password, struct ones_login *login)
{
	const char *username = req->verdict.session.user.username;
	struct user *user = NULL;
	enum ones_result result;
	enum db_status status;

	*login = (struct ones_login){0};
	if (!request_db_take(req, "ones_confirm"))
		return ONES_RESULT_FAILED;
	if (!req->verdict.live)
		return ONES_RESULT_ENDED;
	result = check_password(req, username, password, NULL, &user, login);
	if (result == ONES_RESULT_OK)
		result = upgrade_hash(req, username, password, user, login);
	if (result == ONES_RESULT_OK)
		result = replace_key(req, user, login);
	if (result != ONES_RESULT_ENDED)
		return result;
	status = session_recheck(req);
	/* Another request has given the account's password a new hash at this moment. */
	if (status == DB_OK && req->verdict.live)
		return ONES_RESULT_BUSY;
	return status == DB_OK ? ONES_RESULT_ENDED : exchange_result(status);
}
