/* The daemon's own cookies, those that hold keys and the language: their names, reading and writing them. */
#include "api/key_cookie.h"

#include "base/own_cookies.h"
#include "http/cookie_spellings.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* 400 days: browsers keep no cookie longer (RFC 6265bis, 5.5). */
#define LASTS_LONG "Max-Age=34560000; "

#define TAKEN_AWAY "Max-Age=0; "

static bool is_secure(const struct settings *settings, bool came_by_https)
{
	switch (settings->session.cookie_secure) {
	case COOKIE_SECURE_ALWAYS: return true;
	case COOKIE_SECURE_NEVER: return false;
	default: return came_by_https;
	}
}

/* The cookies of a request, and what decides on their names. */
struct jar {
	const struct settings *settings;
	bool is_secure;
	const char *header;
	size_t size;
};

static struct jar jar_of(const struct ones_request *req)
{
	const struct settings *settings = req->app->settings;
	const char *header = fcgi_param(req->http->fcgi, "HTTP_COOKIE");

	return (struct jar){
		.settings = settings,
		.is_secure = is_secure(settings, req->http->is_secure),
		.header = header,
		.size = header != NULL ? strlen(header) : 0,
	};
}

static void cookie_name(const struct jar *jar, enum own_cookie cookie, char name[OWN_COOKIE_NAME_SIZE])
{
	own_cookie_name(jar->settings->session.cookie_name, jar->is_secure, cookie, name);
}

static bool reads_former(const struct jar *jar)
{
	return own_cookies_read_former(jar->settings->session.cookie_name);
}

/* Each once: returns how many there are with this one. */
static size_t add_key(char *value, struct session_key keys[], size_t count)
{
	size_t at = 0;

	keys[count] = token_key_of_any(value);
	sodium_memzero(value, strlen(value));
	while (memcmp(&keys[at], &keys[count], sizeof keys[at]) != 0)
		at++;
	return count + (at == count);
}

/* The keys, each once, of the cookies of that name whose values are wanted; at most `room`. */
static size_t read_keys(struct fcgi_text header, const char *name, bool (*is_wanted)(const char *value),
                        struct session_key keys[], size_t room)
{
	struct cookie_search search = {.at = header.at, .left = header.length};
	char value[KEY_OF_OTHERS_MAX + 1];
	size_t count = 0;

	while (count < room && cookie_find(&search, name, is_wanted, value, sizeof value))
		count = add_key(value, keys, count);
	return count;
}

/* Likewise, of the well-formed ones of the daemon's own. */
static size_t read_cookies(const struct jar *jar, enum own_cookie cookie, struct session_key keys[], size_t room)
{
	char name[OWN_COOKIE_NAME_SIZE];

	cookie_name(jar, cookie, name);
	return read_keys((struct fcgi_text){jar->header, jar->size}, name, token_is_well_formed, keys, room);
}

/*
 * A cookie called `session` may be another application's, also with 43 characters in it: only one with a key of the
 * daemon's is taken away.
 */
static bool has_former_key(const struct ones_request *req, const struct jar *jar)
{
	struct session_key keys[APP_KEYS_MAX];
	size_t count = reads_former(jar) ? read_cookies(jar, KEY_COOKIE_FORMER, keys, APP_KEYS_MAX) : 0;

	for (size_t i = 0; i < count; i++) {
		if (exchange_knows_key(req, &keys[i]))
			return true;
	}
	return false;
}

static bool has_former_device(const struct jar *jar)
{
	struct session_key key;

	return reads_former(jar) && read_cookies(jar, DEVICE_COOKIE_FORMER, &key, 1) > 0;
}

bool key_cookie_is_secure(const struct ones_request *req)
{
	return is_secure(req->app->settings, req->http->is_secure);
}

/* The value of a Set-Cookie field, on `ctx`; NULL when out of memory. `lasts` as below. */
static char *cookie_field(TALLOC_CTX *ctx, const struct jar *jar, const char *name, const char *token, const char *path,
                          const char *lasts)
{
	static const char *const samesite[] = {
		[COOKIE_SAMESITE_LAX] = "Lax",
		[COOKIE_SAMESITE_STRICT] = "Strict",
		[COOKIE_SAMESITE_NONE] = "None",
	};

	return talloc_asprintf(ctx, "%s=%s; Path=%s; %sHttpOnly; SameSite=%s%s", name, token, path, lasts,
	                       samesite[jar->settings->session.cookie_samesite], jar->is_secure ? "; Secure" : "");
}

/* `lasts` is an attribute, with the separator that follows it, or "". */
static void write_cookie(struct ones_request *req, const char *name, const char *token, const char *path,
                         const char *lasts)
{
	const struct jar jar = jar_of(req);
	char *field = cookie_field(req, &jar, name, token, path, lasts);
	/* One of another path is another cookie (RFC 6265, 5.3). */
	const char *which = talloc_asprintf(req, "%s %s", name, path);

	if (field == NULL || which == NULL) {
		exchange_fail(req, "out of memory for a cookie");
		return;
	}
	response_set_cookie(&req->response, req, which, field, false);
	sodium_memzero(field, strlen(field));
	talloc_free(field);
}

/* As request_read() finds it, of a request that has not been taken in yet. */
static bool comes_by_https(const struct fcgi *fcgi)
{
	struct fcgi_text https = {0}, scheme = {0};

	(void)fcgi_peek_param(fcgi, "HTTPS", &https);
	(void)fcgi_peek_param(fcgi, "REQUEST_SCHEME", &scheme);
	return request_is_by_https(https, scheme);
}

size_t key_cookies_find(const struct ones_app *app, const struct fcgi *fcgi, struct fcgi_text header,
                        struct session_key keys[], size_t room)
{
	struct jar jar = {.settings = app->settings, .header = header.at, .size = header.length};
	size_t count;

	if (header.length <= TOKEN_LENGTH)
		return 0;
	jar.is_secure = is_secure(app->settings, comes_by_https(fcgi));
	count = read_cookies(&jar, KEY_COOKIE, keys, room);
	if (reads_former(&jar))
		count += read_cookies(&jar, KEY_COOKIE_FORMER, keys + count, room - count);
	return count;
}

size_t key_cookies_of_others(const struct key_from *key_from, struct fcgi_text header,
                             struct session_key keys[APP_KEYS_MAX])
{
	return read_keys(header, key_from->cookie, key_is_cookie_value, keys, APP_KEYS_MAX);
}

static size_t add_readings(struct fcgi_text found, struct session_key keys[], size_t count, size_t room)
{
	char value[KEY_OF_OTHERS_MAX + 1];

	for (enum cookie_spelling way = 0; count < room && way < COOKIE_SPELLINGS; way++) {
		if (cookie_spell(found, way, value, sizeof value) && key_is_cookie_value(value))
			count = add_key(value, keys, count);
	}
	return count;
}

size_t key_cookies_read_otherwise(const struct key_from *key_from, struct fcgi_text header, struct session_key keys[],
                                  size_t count, size_t room)
{
	struct cookie_search search = {.at = header.at, .left = header.length};
	struct fcgi_text found, whole;

	while (count < room && cookie_find_alike(&search, key_from->cookie, &found)) {
		count = add_readings(found, keys, count, room);
		whole = cookie_up_to_semicolon(&search, found);
		if (whole.length > found.length)
			count = add_readings(whole, keys, count, room);
	}
	return count;
}

#define LASTS_SIZE 40

/* For as long as a session lasts, or until the browser is closed. */
static void key_lasts(const struct settings *settings, char lasts[LASTS_SIZE])
{
	lasts[0] = '\0';
	if (settings->session.cookie_persistent)
		(void)snprintf(lasts, LASTS_SIZE, "Max-Age=%lld; ", (long long)(settings->session.lifetime / 1000));
}

void key_cookie_write(struct ones_request *req, const char *token)
{
	const struct jar jar = jar_of(req);
	char name[OWN_COOKIE_NAME_SIZE], lasts[LASTS_SIZE] = TAKEN_AWAY;

	if (token != NULL)
		key_lasts(jar.settings, lasts);
	cookie_name(&jar, KEY_COOKIE, name);
	write_cookie(req, name, token != NULL ? token : "", "/", lasts);
	if (has_former_key(req, &jar)) {
		cookie_name(&jar, KEY_COOKIE_FORMER, name);
		write_cookie(req, name, "", "/", TAKEN_AWAY);
	}
}

/*
 * Until 0.2 its path was server.prefix, and a browser may hold both. It sends the one with the longer path first (RFC
 * 6265, 5.4), so the last one is that which was given last. Returns how many there are that are well-formed.
 */
static size_t last_device(const struct jar *jar, struct session_key *key)
{
	struct session_key keys[APP_KEYS_MAX];
	size_t count = read_cookies(jar, DEVICE_COOKIE, keys, APP_KEYS_MAX);

	if (count > 0)
		*key = keys[count - 1];
	return count;
}

bool device_cookie_read(const struct ones_request *req, struct session_key *key)
{
	const struct jar jar = jar_of(req);

	return last_device(&jar, key) > 0 ||
	       (reads_former(&jar) && read_cookies(&jar, DEVICE_COOKIE_FORMER, key, 1) > 0);
}

static const char *own_path(const struct ones_request *req)
{
	const char *prefix = req->app->settings->server.prefix;

	return prefix[0] != '\0' ? prefix : "/";
}

void device_cookie_write(struct ones_request *req, const char *token)
{
	const struct jar jar = jar_of(req);
	char name[OWN_COOKIE_NAME_SIZE];
	struct session_key last;

	cookie_name(&jar, DEVICE_COOKIE, name);
	if (last_device(&jar, &last) > 1)
		write_cookie(req, name, "", own_path(req), TAKEN_AWAY);
	write_cookie(req, name, token, "/", LASTS_LONG);
	if (has_former_device(&jar)) {
		cookie_name(&jar, DEVICE_COOKIE_FORMER, name);
		write_cookie(req, name, "", own_path(req), TAKEN_AWAY);
	}
}

bool key_cookies_for_others(struct ones_request *req, bool by_https, const char *token, const char *device,
                            const char *fields[2])
{
	const struct settings *settings = req->app->settings;
	const struct jar jar = {.settings = settings, .is_secure = is_secure(settings, by_https)};
	char name[OWN_COOKIE_NAME_SIZE], lasts[LASTS_SIZE];

	key_lasts(settings, lasts);
	cookie_name(&jar, KEY_COOKIE, name);
	fields[0] = token != NULL ? cookie_field(req, &jar, name, token, "/", lasts) : NULL;
	cookie_name(&jar, DEVICE_COOKIE, name);
	fields[1] = cookie_field(req, &jar, name, device, "/", LASTS_LONG);
	return (fields[0] != NULL) == (token != NULL) && fields[1] != NULL;
}

bool language_cookie_read(const struct ones_request *req, char language[LANGUAGE_TAG_SIZE])
{
	const struct jar jar = jar_of(req);
	struct cookie_search search = {.at = jar.header, .left = jar.size};
	char name[OWN_COOKIE_NAME_SIZE];

	if (jar.header == NULL)
		return false;
	cookie_name(&jar, LANGUAGE_COOKIE, name);
	return cookie_find(&search, name, language_is_tag, language, LANGUAGE_TAG_SIZE);
}

void language_cookie_write(struct ones_request *req, const char *language)
{
	const struct jar jar = jar_of(req);
	char name[OWN_COOKIE_NAME_SIZE];

	cookie_name(&jar, LANGUAGE_COOKIE, name);
	write_cookie(req, name, language, "/", LASTS_LONG);
}

bool key_cookie_is_any(const struct ones_request *req)
{
	const struct jar jar = jar_of(req);

	for (enum own_cookie cookie = KEY_COOKIE; jar.header != NULL && cookie < OWN_COOKIES; cookie++) {
		struct cookie_search search = {.at = jar.header, .left = jar.size};
		char name[OWN_COOKIE_NAME_SIZE], value[2 * TOKEN_LENGTH];

		cookie_name(&jar, cookie, name);
		if (cookie_find(&search, name, NULL, value, sizeof value))
			return true;
	}
	return false;
}

void ones_offer_cookie(struct ones_request *req)
{
	const struct jar jar = jar_of(req);
	char name[OWN_COOKIE_NAME_SIZE];

	if (key_cookie_is_any(req))
		return;
	cookie_name(&jar, CHECK_COOKIE, name);
	write_cookie(req, name, "1", own_path(req), "");
}
