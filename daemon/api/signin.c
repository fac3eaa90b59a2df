/* Signing in and out: where passwords, the rule and the cookie come together. */
#include "api/app.h"
#include "api/key_cookie.h"
#include "base/clock.h"
#include "session/useragent.h"
#include "session/users.h"

#include <sodium.h>
#include <string.h>

/* The account that the name and password are of, or NULL in *user. The same work is done whatever is wrong. */
static enum db_status authenticate(struct ones_request *req, const char *username, const char *password,
                                   struct user **user)
{
	enum db_status status = users_find(req->app->rule.db, req, username, user);
	int64_t began;
	bool is_right;

	if (status != DB_OK)
		return status;
	began = clock_monotonic_us();
	is_right = password_verify(*user != NULL ? (*user)->password : req->app->decoy_hash, password);
	req->times.hashing_us += clock_monotonic_us() - began;
	if (*user == NULL || !is_right || !(*user)->is_active) {
		const struct client client = {.ip = req->http->remote_addr, .user_agent = req->http->user_agent};

		status = rule_login_failed(&req->app->rule, req, *user, &client);
		*user = NULL;
	}
	return status;
}

static bool describe(struct ones_request *req, const struct rule_login *made, struct ones_login *login)
{
	struct ones_displaced *displaced = talloc_array(req, struct ones_displaced, made->displaced.count);

	if (displaced == NULL)
		return false;
	for (unsigned int i = 0; i < made->displaced.count; i++) {
		displaced[i] = (struct ones_displaced){
			.id = made->displaced.all[i].id,
			.last_seen_at = made->displaced.all[i].last_seen_at,
			.browser = useragent_browser(made->displaced.all[i].user_agent),
			.os = useragent_os(made->displaced.all[i].user_agent),
		};
	}
	*login = (struct ones_login){
		.session = made->session,
		.displaced_count = made->displaced.count,
		.displaced = displaced,
	};
	return true;
}

enum ones_result ones_login(struct ones_request *req, const char *username, const char *password,
                            struct ones_login *login)
{
	const struct client client = {.ip = req->http->remote_addr, .user_agent = req->http->user_agent};
	char token[TOKEN_LENGTH + 1];
	struct session_key key;
	struct rule_login made;
	struct user *user;
	enum db_status status = authenticate(req, username, password, &user);

	if (status != DB_OK)
		return status == DB_ERROR ? ONES_FAILED : ONES_UNAVAILABLE;
	if (user == NULL)
		return ONES_INVALID;
	token_generate(token);
	key = token_key(token);
	switch (rule_login(&req->app->rule, req, user, &key, req->has_key ? &req->key : NULL, &client, &made)) {
	case RULE_LOGIN_OK: break;
	case RULE_LOGIN_STALE: return ONES_INVALID;
	case RULE_LOGIN_FAILED: return ONES_FAILED;
	default: return ONES_UNAVAILABLE;
	}
	if (!describe(req, &made, login))
		return ONES_FAILED;
	key_cookie_write(req, token);
	sodium_memzero(token, sizeof token);
	req->has_key = true;
	req->key = key;
	req->verdict = (struct rule_verdict){.live = true, .session = made.session, .by_user_agent = ""};
	return ONES_OK;
}

enum ones_result ones_logout(struct ones_request *req)
{
	const struct client client = {.ip = req->http->remote_addr, .user_agent = req->http->user_agent};
	enum db_status status = DB_OK;

	if (req->verdict.live)
		status = rule_logout(&req->app->rule, req, &req->key, &client);
	if (status != DB_OK)
		return status == DB_ERROR ? ONES_FAILED : ONES_UNAVAILABLE;
	req->verdict = (struct rule_verdict){.reason = ONES_LOGGED_OUT, .by_user_agent = ""};
	key_cookie_write(req, NULL);
	return ONES_OK;
}
