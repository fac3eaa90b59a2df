/* The daemon's own cookies, those that hold keys and the language: their names, reading and writing them. */
#include "api/key_cookie.h"

#include "http/cookie.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The longest session.cookie_name, and what comes before and after it. */
#define NAME_SIZE 128

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

enum cookie {
	KEY_COOKIE,
	DEVICE_COOKIE,
	KEY_COOKIE_FORMER,
	DEVICE_COOKIE_FORMER,
	CHECK_COOKIE,
	LANGUAGE_COOKIE,
	COOKIES
};

/*
 * With __Host- a browser takes the session's cookie only over HTTPS and from this very host, so that no other host can
 * plant one. For the cookies of the daemon's own routes this prefix would want Path=/; that a sibling host can plant
 * them is of no use to it: see browsers.h. That of the language is no secret, and has one name for whoever reads it.
 */
static void cookie_name(const struct jar *jar, enum cookie cookie, char name[NAME_SIZE])
{
	static const char *const endings[] = {
		[KEY_COOKIE] = "",           [KEY_COOKIE_FORMER] = "",
		[DEVICE_COOKIE] = "_device", [DEVICE_COOKIE_FORMER] = "_device",
		[CHECK_COOKIE] = "_check",   [LANGUAGE_COOKIE] = "_language",
	};
	bool is_of_all = endings[cookie][0] == '\0';
	bool is_former = cookie == KEY_COOKIE_FORMER || cookie == DEVICE_COOKIE_FORMER;

	(void)snprintf(name, NAME_SIZE, "%s%s%s",
	               !jar->is_secure || cookie == LANGUAGE_COOKIE ? ""
	               : is_of_all                                  ? "__Host-"
	                                                            : "__Secure-",
	               is_former ? COOKIE_NAME_FORMER : jar->settings->session.cookie_name, endings[cookie]);
}

/* Cookies of the former names are read, until 1.0, so that an upgrade ends no session. */
static bool reads_former(const struct jar *jar)
{
	return strcmp(jar->settings->session.cookie_name, COOKIE_NAME_DEFAULT) == 0;
}

/* The keys, each once, of the well-formed ones among the cookies of that name; at most `room`. */
static size_t read_cookies(const struct jar *jar, enum cookie cookie, struct session_key keys[], size_t room)
{
	struct cookie_search search = {.at = jar->header, .left = jar->size};
	char name[NAME_SIZE], token[TOKEN_LENGTH + 1];
	size_t count = 0;

	cookie_name(jar, cookie, name);
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

/* Has the look-up found that this key is one of a session? */
static bool is_known(const struct ones_request *req, const struct session_key *key)
{
	const struct app_lookup *lookup = &req->lookup;

	for (size_t i = 0; lookup->result != NULL && i < req->preview.key_count; i++) {
		if (memcmp(&req->preview.keys[i], key, sizeof *key) == 0)
			return rule_is_known(lookup->result, lookup->first + i);
	}
	return false;
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
		if (is_known(req, &keys[i]))
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

bool key_cookie_is_own_name(const struct ones_request *req, const char *name)
{
	static const char *const prefixes[] = {"__Host-", "__Secure-"};
	const struct jar jar = {.settings = req->app->settings};

	/* Browsers know a prefix in any case (RFC 6265bis, 5.7). */
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
		if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
			name += strlen(prefixes[i]);
			break;
		}
	}
	for (enum cookie cookie = KEY_COOKIE; cookie < COOKIES; cookie++) {
		bool is_former = cookie == KEY_COOKIE_FORMER || cookie == DEVICE_COOKIE_FORMER;
		char own[NAME_SIZE];

		/* Not secure, so that there is no prefix. */
		cookie_name(&jar, cookie, own);
		if (strcmp(name, own) == 0 && (!is_former || reads_former(&jar)))
			return true;
	}
	return false;
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

	if (field == NULL) {
		exchange_fail(req, "out of memory for a cookie");
		return;
	}
	response_set_cookie(&req->response, req, name, field, false);
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

size_t key_cookie_peek(const struct ones_app *app, const struct fcgi *fcgi, struct session_key keys[APP_KEYS_MAX])
{
	struct fcgi_text header = {0};
	struct jar jar = {.settings = app->settings};
	size_t count;

	if (!fcgi_peek_param(fcgi, "HTTP_COOKIE", &header) || header.length <= TOKEN_LENGTH)
		return 0;
	jar.is_secure = is_secure(app->settings, comes_by_https(fcgi));
	jar.header = header.at;
	jar.size = header.length;
	count = read_cookies(&jar, KEY_COOKIE, keys, APP_KEYS_MAX);
	if (reads_former(&jar))
		count += read_cookies(&jar, KEY_COOKIE_FORMER, keys + count, APP_KEYS_MAX - count);
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
	char name[NAME_SIZE], lasts[LASTS_SIZE] = TAKEN_AWAY;

	if (token != NULL)
		key_lasts(jar.settings, lasts);
	cookie_name(&jar, KEY_COOKIE, name);
	write_cookie(req, name, token != NULL ? token : "", "/", lasts);
	if (has_former_key(req, &jar)) {
		cookie_name(&jar, KEY_COOKIE_FORMER, name);
		write_cookie(req, name, "", "/", TAKEN_AWAY);
	}
}

bool device_cookie_read(const struct ones_request *req, struct session_key *key)
{
	const struct jar jar = jar_of(req);

	return read_cookies(&jar, DEVICE_COOKIE, key, 1) > 0 ||
	       (reads_former(&jar) && read_cookies(&jar, DEVICE_COOKIE_FORMER, key, 1) > 0);
}

static const char *own_path(const struct ones_request *req)
{
	const char *prefix = req->app->settings->server.prefix;

	return prefix[0] != '\0' ? prefix : "/";
}

void device_cookie_write(struct ones_request *req, const char *token)
{
	const char *path = own_path(req);
	const struct jar jar = jar_of(req);
	char name[NAME_SIZE];

	cookie_name(&jar, DEVICE_COOKIE, name);
	write_cookie(req, name, token, path, LASTS_LONG);
	if (has_former_device(&jar)) {
		cookie_name(&jar, DEVICE_COOKIE_FORMER, name);
		write_cookie(req, name, "", path, TAKEN_AWAY);
	}
}

bool key_cookies_for_others(struct ones_request *req, bool by_https, const char *token, const char *device,
                            const char *fields[2])
{
	const struct settings *settings = req->app->settings;
	const struct jar jar = {.settings = settings, .is_secure = is_secure(settings, by_https)};
	char name[NAME_SIZE], lasts[LASTS_SIZE];

	key_lasts(settings, lasts);
	cookie_name(&jar, KEY_COOKIE, name);
	fields[0] = cookie_field(req, &jar, name, token, "/", lasts);
	cookie_name(&jar, DEVICE_COOKIE, name);
	fields[1] = cookie_field(req, &jar, name, device, own_path(req), LASTS_LONG);
	return fields[0] != NULL && fields[1] != NULL;
}

bool language_cookie_read(const struct ones_request *req, char language[LANGUAGE_TAG_SIZE])
{
	const struct jar jar = jar_of(req);
	struct cookie_search search = {.at = jar.header, .left = jar.size};
	char name[NAME_SIZE];

	if (jar.header == NULL)
		return false;
	cookie_name(&jar, LANGUAGE_COOKIE, name);
	return cookie_find(&search, name, language_is_tag, language, LANGUAGE_TAG_SIZE);
}

void language_cookie_write(struct ones_request *req, const char *language)
{
	const struct jar jar = jar_of(req);
	char name[NAME_SIZE];

	cookie_name(&jar, LANGUAGE_COOKIE, name);
	write_cookie(req, name, language, "/", LASTS_LONG);
}

bool key_cookie_is_any(const struct ones_request *req)
{
	const struct jar jar = jar_of(req);

	for (enum cookie cookie = KEY_COOKIE; jar.header != NULL && cookie < COOKIES; cookie++) {
		struct cookie_search search = {.at = jar.header, .left = jar.size};
		char name[NAME_SIZE], value[2 * TOKEN_LENGTH];

		cookie_name(&jar, cookie, name);
		if (cookie_find(&search, name, NULL, value, sizeof value))
			return true;
	}
	return false;
}

void ones_offer_cookie(struct ones_request *req)
{
	const struct jar jar = jar_of(req);
	char name[NAME_SIZE];

	if (key_cookie_is_any(req))
		return;
	cookie_name(&jar, CHECK_COOKIE, name);
	write_cookie(req, name, "1", own_path(req), "");
}
