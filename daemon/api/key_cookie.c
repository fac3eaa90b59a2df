#include "api/key_cookie.h"

#include "api/app.h"
#include "http/cookie.h"

#include <sodium.h>
#include <stdio.h>

#define NAME_SIZE 128

static bool is_secure(const struct ones_request *req)
{
	switch (req->app->settings->session.cookie_secure) {
	case COOKIE_SECURE_ALWAYS: return true;
	case COOKIE_SECURE_NEVER: return false;
	default: return req->http->is_secure;
	}
}

/* With the prefix, a browser takes the cookie only over HTTPS and only from this very host: nobody can plant one. */
static void cookie_name(const struct ones_request *req, char name[NAME_SIZE])
{
	(void)snprintf(name, NAME_SIZE, "%s%s", is_secure(req) ? "__Host-" : "",
	               req->app->settings->session.cookie_name);
}

bool key_cookie_read(const struct ones_request *req, struct session_key *key)
{
	char token[TOKEN_LENGTH + 1];
	char name[NAME_SIZE];

	cookie_name(req, name);
	if (!cookie_find(ones_param(req, "HTTP_COOKIE"), name, token_is_well_formed, token, sizeof token))
		return false;
	*key = token_key(token);
	sodium_memzero(token, sizeof token);
	return true;
}

void key_cookie_write(struct ones_request *req, const char *token)
{
	static const char *const samesite[] = {
		[COOKIE_SAMESITE_LAX] = "Lax",
		[COOKIE_SAMESITE_STRICT] = "Strict",
		[COOKIE_SAMESITE_NONE] = "None",
	};
	char value[NAME_SIZE + TOKEN_LENGTH + 80];
	char name[NAME_SIZE];

	cookie_name(req, name);
	(void)snprintf(value, sizeof value, "%s=%s; Path=/; %sHttpOnly; SameSite=%s%s", name,
	               token != NULL ? token : "", token != NULL ? "" : "Max-Age=0; ",
	               samesite[req->app->settings->session.cookie_samesite], is_secure(req) ? "; Secure" : "");
	ones_header(req, "Set-Cookie", value);
}
