#include "api/key_cookie.h"

#include "api/app.h"
#include "http/cookie.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* The longest session.cookie_name, and what comes before and after it. */
#define NAME_SIZE 128

/* 400 days: browsers keep no cookie longer (RFC 6265bis, 5.5). */
#define DEVICE_COOKIE_LASTS "Max-Age=34560000; "

static bool is_secure(const struct ones_request *req)
{
	switch (req->app->settings->session.cookie_secure) {
	case COOKIE_SECURE_ALWAYS: return true;
	case COOKIE_SECURE_NEVER: return false;
	default: return req->http->is_secure;
	}
}

static const char *key_cookie_name(const struct ones_request *req)
{
	return is_secure(req) ? req->app->secure_key_cookie : req->app->settings->session.cookie_name;
}

/* The other prefix would want Path=/. That a sibling host can plant this one is of no use to it: see browsers.h. */
static void device_cookie_name(const struct ones_request *req, char name[NAME_SIZE])
{
	(void)snprintf(name, NAME_SIZE, "%s%s_device", is_secure(req) ? "__Secure-" : "",
	               req->app->settings->session.cookie_name);
}

static bool read_cookie(const struct ones_request *req, const char *name, struct session_key *key)
{
	char token[TOKEN_LENGTH + 1];

	if (!cookie_find(ones_param(req, "HTTP_COOKIE"), name, token_is_well_formed, token, sizeof token))
		return false;
	*key = token_key(token);
	sodium_memzero(token, sizeof token);
	return true;
}

/* `lasts` is an attribute, with the separator that follows it, or "". */
static void write_cookie(struct ones_request *req, const char *name, const char *token, const char *path,
                         const char *lasts)
{
	static const char *const samesite[] = {
		[COOKIE_SAMESITE_LAX] = "Lax",
		[COOKIE_SAMESITE_STRICT] = "Strict",
		[COOKIE_SAMESITE_NONE] = "None",
	};
	char *field = talloc_asprintf(req, "%s=%s; Path=%s; %sHttpOnly; SameSite=%s%s", name, token, path, lasts,
	                              samesite[req->app->settings->session.cookie_samesite],
	                              is_secure(req) ? "; Secure" : "");

	if (field == NULL) {
		req->response.failed = true;
		return;
	}
	response_set_cookie(&req->response, req, name, field);
	sodium_memzero(field, strlen(field));
	talloc_free(field);
}

bool key_cookie_read(const struct ones_request *req, struct session_key *key)
{
	return read_cookie(req, key_cookie_name(req), key);
}

void key_cookie_write(struct ones_request *req, const char *token)
{
	const struct settings *settings = req->app->settings;
	char lasts[40] = "";

	if (token == NULL)
		(void)snprintf(lasts, sizeof lasts, "Max-Age=0; ");
	else if (settings->session.cookie_persistent)
		(void)snprintf(lasts, sizeof lasts, "Max-Age=%lld; ", (long long)(settings->session.lifetime / 1000));
	write_cookie(req, key_cookie_name(req), token != NULL ? token : "", "/", lasts);
}

bool device_cookie_read(const struct ones_request *req, struct session_key *key)
{
	char name[NAME_SIZE];

	device_cookie_name(req, name);
	return read_cookie(req, name, key);
}

void device_cookie_write(struct ones_request *req, const char *token)
{
	const char *prefix = req->app->settings->server.prefix;
	char name[NAME_SIZE];

	device_cookie_name(req, name);
	write_cookie(req, name, token, prefix[0] != '\0' ? prefix : "/", DEVICE_COOKIE_LASTS);
}
