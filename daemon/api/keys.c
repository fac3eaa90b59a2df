/* The session keys that a request presents: where they stand, in which order they count, and how a new one is given. */
#include "api/keys.h"

#include "api/key_cookie.h"
#include "http/authorization.h"

#include <sodium.h>
#include <string.h>

/* Not an API token's: one is never looked up as a key. */
static bool is_own_token(const char *text)
{
	return token_is_well_formed(text) && !key_is_of_api(text);
}

/* The key in Authorization, if that has the form; returns how many: 1 or 0. */
static size_t read_authorization(const struct fcgi *fcgi, bool (*is_wanted)(const char *text), struct session_key *key)
{
	struct fcgi_text field, credentials;
	char text[KEY_OF_OTHERS_MAX + 1];
	bool is_key;

	if (!fcgi_peek_param(fcgi, "HTTP_AUTHORIZATION", &field) || !authorization_bearer(field, &credentials) ||
	    credentials.length >= sizeof text)
		return 0;
	memcpy(text, credentials.at, credentials.length);
	text[credentials.length] = '\0';
	is_key = is_wanted(text);
	if (is_key)
		*key = token_key_of_any(text);
	sodium_memzero(text, credentials.length);
	return is_key;
}

/*
 * With key_from = bearer: the key, and the same without padding, for which some programs do not care. Anything but
 * Bearer and token68 is in doubt: an application may find a key in it.
 */
static size_t read_authorization_of_others(const struct fcgi *fcgi, struct app_preview *preview)
{
	struct fcgi_text field, credentials;
	size_t count = read_authorization(fcgi, key_is_token68, preview->keys);
	size_t length;
	char text[KEY_OF_OTHERS_MAX + 1];

	preview->readings_at = count;
	if (!fcgi_peek_param(fcgi, "HTTP_AUTHORIZATION", &field) || field.length == 0)
		return count;
	preview->is_doubtful =
		!authorization_bearer(field, &credentials) || !text_is_token68(credentials.at, credentials.length);
	if (preview->is_doubtful)
		return 0;
	length = credentials.length;
	while (credentials.at[length - 1] == '=')
		length--;
	if (length == credentials.length || length >= sizeof text)
		return count;
	memcpy(text, credentials.at, length);
	text[length] = '\0';
	if (key_is_token68(text))
		preview->keys[count++] = token_key_of_any(text);
	sodium_memzero(text, length);
	return count;
}

static size_t read_cookies_of_others(const struct key_from *key_from, struct fcgi_text cookies,
                                     struct app_preview *preview)
{
	size_t count = key_cookies_of_others(key_from, cookies, preview->keys);

	preview->readings_at = count;
	count = key_cookies_read_otherwise(key_from, cookies, preview->keys, count, APP_KEYS_MAX);
	/* One that is not looked up could be one that has ended: see session_check.c. */
	preview->is_doubtful = count > APP_COOKIE_KEYS_MAX;
	return preview->is_doubtful ? 0 : count;
}

void keys_peek(const struct ones_app *app, const struct fcgi *fcgi, struct app_preview *preview)
{
	const struct key_from *key_from = &app->key_from;
	struct fcgi_text cookies = {0};
	size_t count = 0;
	bool has_own;

	(void)fcgi_peek_param(fcgi, "HTTP_COOKIE", &cookies);
	if (key_from->kind == KEY_FROM_COOKIE)
		count = read_cookies_of_others(key_from, cookies, preview);
	else if (key_from->kind == KEY_FROM_BEARER)
		count = read_authorization_of_others(fcgi, preview);
	preview->own_at = count;
	if (count < preview->readings_at)
		preview->readings_at = count;
	if (!preview->is_doubtful)
		count += key_cookies_find(app, fcgi, cookies, preview->keys + count, APP_COOKIE_KEYS_MAX - count);
	preview->bearer_at = count;
	has_own = count > preview->own_at;
	/* With key_from = bearer that has been looked at. */
	if (app->settings->session.bearer && key_from->kind != KEY_FROM_BEARER)
		count += read_authorization(fcgi, is_own_token, preview->keys + count);
	preview->key_count = count;
	preview->session_keys = has_own || preview->is_doubtful ? preview->bearer_at : count;
}

void keys_forget(struct app_preview *preview)
{
	preview->key_count = preview->session_keys = 0;
	preview->is_doubtful = false;
}

bool keys_may_be_in_authorization(const struct ones_app *app)
{
	return app->settings->session.bearer || app->key_from.kind == KEY_FROM_BEARER;
}

bool keys_is_in_authorization(const struct ones_request *req, size_t number)
{
	const struct app_preview *preview = &req->preview;

	return number >= preview->bearer_at || (req->app->key_from.kind == KEY_FROM_BEARER && number < preview->own_at);
}

const struct session_key *keys_own(const struct ones_request *req)
{
	const struct app_preview *preview = &req->preview;

	/* After a login there are none. */
	return preview->key_count > preview->own_at && preview->bearer_at > preview->own_at
	               ? &preview->keys[preview->own_at]
	               : NULL;
}

bool ones_key_is_bearer(const struct ones_request *req)
{
	const struct app_preview *preview = &req->preview;

	if (req->app->key_from.kind == KEY_FROM_BEARER)
		return req->verdict.reason > ONES_REASON_UNAUTHENTICATED;
	return preview->bearer_at < preview->key_count && exchange_knows_key(req, &preview->keys[preview->bearer_at]);
}

bool keys_go_into_answer(const struct ones_request *req, bool is_wanted)
{
	return is_wanted || (req->http->is_program && req->verdict.live && req->is_in_authorization);
}

void keys_give(struct ones_request *req, const char *token, bool is_in_answer, struct ones_login *login)
{
	if (!is_in_answer) {
		key_cookie_write(req, token);
		return;
	}
	login->token = talloc_strdup(req, token);
	if (login->token == NULL)
		exchange_fail(req, "out of memory for a token");
}
