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

#define TAKEN_AWAY "Max-Age=0; "

static bool is_secure(const struct ones_request *req)
{
	switch (req->app->settings->session.cookie_secure) {
	case COOKIE_SECURE_ALWAYS: return true;
	case COOKIE_SECURE_NEVER: return false;
	default: return req->http->is_secure;
	}
}

enum cookie { KEY_COOKIE, DEVICE_COOKIE, KEY_COOKIE_FORMER, DEVICE_COOKIE_FORMER };

/*
 * With __Host- a browser takes the session's cookie only over HTTPS and from this very host: nobody can plant one. For
 * the device cookie this prefix would want Path=/; that a sibling host can plant it is of no use to it: see browsers.h.
 */
static void cookie_name(const struct ones_request *req, enum cookie cookie, char name[NAME_SIZE])
{
	bool is_device = cookie == DEVICE_COOKIE || cookie == DEVICE_COOKIE_FORMER;
	bool is_former = cookie == KEY_COOKIE_FORMER || cookie == DEVICE_COOKIE_FORMER;

	(void)snprintf(name, NAME_SIZE, "%s%s%s",
	               !is_secure(req) ? ""
	               : is_device     ? "__Secure-"
	                               : "__Host-",
	               is_former ? COOKIE_NAME_FORMER : req->app->settings->session.cookie_name,
	               is_device ? "_device" : "");
}

/* Cookies of the former names are read, until 1.0, so that an upgrade signs nobody out. */
static bool reads_former(const struct ones_request *req)
{
	return strcmp(req->app->settings->session.cookie_name, COOKIE_NAME_DEFAULT) == 0;
}

/* The keys, each once, of the well-formed ones among the cookies of that name; at most `room`. */
static size_t read_cookies(const struct ones_request *req, enum cookie cookie, struct session_key keys[], size_t room)
{
	struct cookie_search search = {.at = ones_param(req, "HTTP_COOKIE")};
	char name[NAME_SIZE], token[TOKEN_LENGTH + 1];
	size_t count = 0;

	cookie_name(req, cookie, name);
	while (count < room && cookie_find(&search, name, token_is_well_formed, token, sizeof token)) {
		size_t at = 0;

		keys[count] = token_key(token);
		while (memcmp(&keys[at], &keys[count], sizeof keys[at]) != 0)
			at++;
		count += at == count;
		sodium_memzero(token, sizeof token);
	}
	return count;
}

/* What is called `session` may be another application's: one with a key in it is ours. */
static bool has_former(const struct ones_request *req, enum cookie former)
{
	struct session_key key;

	return reads_former(req) && read_cookies(req, former, &key, 1) > 0;
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

size_t key_cookie_read_all(const struct ones_request *req, struct session_key keys[KEY_COOKIES_MAX])
{
	size_t count = read_cookies(req, KEY_COOKIE, keys, KEY_COOKIES_MAX);

	if (reads_former(req))
		count += read_cookies(req, KEY_COOKIE_FORMER, keys + count, KEY_COOKIES_MAX - count);
	return count;
}

bool key_cookie_read(const struct ones_request *req, struct session_key *key)
{
	struct session_key keys[KEY_COOKIES_MAX];

	if (key_cookie_read_all(req, keys) == 0)
		return false;
	*key = keys[0];
	return true;
}

void key_cookie_write(struct ones_request *req, const char *token)
{
	char name[NAME_SIZE];

	cookie_name(req, KEY_COOKIE, name);
	write_cookie(req, name, token != NULL ? token : "", "/", token != NULL ? "" : TAKEN_AWAY);
	if (has_former(req, KEY_COOKIE_FORMER)) {
		cookie_name(req, KEY_COOKIE_FORMER, name);
		write_cookie(req, name, "", "/", TAKEN_AWAY);
	}
}

bool device_cookie_read(const struct ones_request *req, struct session_key *key)
{
	return read_cookies(req, DEVICE_COOKIE, key, 1) > 0 ||
	       (reads_former(req) && read_cookies(req, DEVICE_COOKIE_FORMER, key, 1) > 0);
}

void device_cookie_write(struct ones_request *req, const char *token)
{
	const char *path = req->app->settings->server.prefix[0] != '\0' ? req->app->settings->server.prefix : "/";
	char name[NAME_SIZE];

	cookie_name(req, DEVICE_COOKIE, name);
	write_cookie(req, name, token, path, DEVICE_COOKIE_LASTS);
	if (has_former(req, DEVICE_COOKIE_FORMER)) {
		cookie_name(req, DEVICE_COOKIE_FORMER, name);
		write_cookie(req, name, "", path, TAKEN_AWAY);
	}
}
