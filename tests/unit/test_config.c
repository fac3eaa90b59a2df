#include "base/config.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static char folder[] = "/tmp/onesession-config-XXXXXX";
static char path[64];

/* ---- Helpers ------------------------------------------------------------------------------------------------ */

struct loaded {
	TALLOC_CTX *ctx;
	int result;
	struct settings settings;
	char *complaints; /* without the file's name: ":3: server.workers: ..." */
};

static void write_file(const char *content, size_t size)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static char *without_path(TALLOC_CTX *ctx, const char *text)
{
	char *result = talloc_strdup(ctx, "");
	const char *found;

	while ((found = strstr(text, path)) != NULL) {
		result = talloc_strndup_append(result, text, (size_t)(found - text));
		text = found + strlen(path);
	}
	return talloc_strdup_append(result, text);
}

static struct loaded load_source(const struct config_source *source)
{
	struct loaded loaded = {.ctx = talloc_new(NULL)};
	char *text = NULL;
	size_t size;
	FILE *complaints = open_memstream(&text, &size);

	assert_non_null(complaints);
	loaded.result = config_load(loaded.ctx, source, &loaded.settings, complaints);
	assert_int_equal(fclose(complaints), 0);
	loaded.complaints = without_path(loaded.ctx, text);
	free(text);
	/* A refused configuration has complaints, an accepted one has none. */
	assert_int_equal(loaded.result == 0, loaded.complaints[0] == '\0');
	return loaded;
}

static struct loaded load_text(const char *content)
{
	const struct config_source source = {.path = path};

	write_file(content, strlen(content));
	return load_source(&source);
}

static struct loaded load_override(const char *override)
{
	const struct config_source source = {.path = path, .overrides = &override, .override_count = 1};

	write_file("", 0);
	return load_source(&source);
}

static void assert_complaints(const char *content, const char *expected)
{
	struct loaded loaded = load_text(content);

	assert_string_equal(loaded.complaints, expected);
	talloc_free(loaded.ctx);
}

static void assert_override_complaints(const char *override, const char *expected)
{
	struct loaded loaded = load_override(override);

	assert_string_equal(loaded.complaints, expected);
	talloc_free(loaded.ctx);
}

static void assert_value_refused(const char *name, const char *value)
{
	char *override = talloc_asprintf(NULL, "%s=%s", name, value);
	struct loaded loaded = load_override(override);

	if (loaded.result == 0)
		fail_msg("%s is taken", override);
	talloc_free(loaded.ctx);
	talloc_free(override);
}

static void assert_value_taken(const char *name, const char *value)
{
	char *override = talloc_asprintf(NULL, "%s=%s", name, value);
	struct loaded loaded = load_override(override);

	if (loaded.result != 0)
		fail_msg("%s", loaded.complaints);
	talloc_free(loaded.ctx);
	talloc_free(override);
}

static char *dump(TALLOC_CTX *ctx, const struct settings *settings)
{
	char *text = NULL, *copy;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	config_dump(settings, out);
	assert_int_equal(fclose(out), 0);
	copy = talloc_strdup(ctx, text);
	free(text);
	return copy;
}

static char *sample(TALLOC_CTX *ctx)
{
	char *text = NULL, *copy;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	config_sample(out);
	assert_int_equal(fclose(out), 0);
	copy = talloc_strdup(ctx, text);
	free(text);
	return copy;
}

static int set_up(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof path, "%s/conf", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(folder);
}

/* ---- Values ------------------------------------------------------------------------------------------------- */

static void defaults_are_those_of_the_manual(void **state)
{
	struct loaded loaded = load_text("");
	const struct settings *settings = &loaded.settings;

	(void)state;
	assert_int_equal(loaded.result, 0);
	assert_string_equal(settings->server.listen, "unix:/run/onesession/onesession.sock");
	assert_int_equal(settings->server.listen_mode, 0660);
	assert_string_equal(settings->server.listen_owner, "");
	assert_string_equal(settings->server.listen_group, "");
	assert_string_equal(settings->server.allowed_clients, "127.0.0.1 ::1");
	assert_string_equal(settings->server.allowed_users, "");
	assert_string_equal(settings->server.user, "");
	assert_string_equal(settings->server.group, "");
	assert_string_equal(settings->server.prefix, "/session");
	assert_int_equal(settings->server.workers, 8);
	assert_int_equal(settings->server.guard_workers, SETTING_AUTO);
	assert_int_equal(settings->server.max_requests, 0);
	assert_int_equal(settings->server.request_timeout, 30000);
	assert_int_equal(settings->server.io_timeout, 5000);
	assert_int_equal(settings->server.shutdown_timeout, 30000);
	assert_int_equal(settings->server.max_body, 65536);
	assert_string_equal(settings->server.operators, "127.0.0.1 ::1");
	assert_string_equal(settings->database.conninfo, "dbname=onesession");
	assert_int_equal(settings->database.connect_timeout, 2000);
	assert_int_equal(settings->database.statement_timeout, 3000);
	assert_true(settings->database.prepare);
	assert_int_equal(settings->session.lifetime, 14 * DAY);
	assert_int_equal(settings->session.idle_timeout, 0);
	assert_int_equal(settings->session.touch_interval, MINUTE);
	assert_string_equal(settings->session.cookie_name, "onesession");
	assert_int_equal(settings->session.cookie_secure, COOKIE_SECURE_AUTO);
	assert_int_equal(settings->session.cookie_samesite, COOKIE_SAMESITE_LAX);
	assert_true(settings->session.cookie_persistent);
	assert_int_equal(settings->session.max_sessions, 1);
	assert_int_equal(settings->session.on_limit, ON_LIMIT_DISPLACE);
	assert_int_equal(settings->session.purge_interval, 5 * MINUTE);
	assert_int_equal(settings->session.history, 30 * DAY);
	assert_true(settings->login.enabled);
	assert_string_equal(settings->login.default_next, "");
	assert_int_equal(settings->login.memory, 64 << 20);
	assert_int_equal(settings->login.passes, 3);
	assert_int_equal(settings->login.max_hashing, 2);
	assert_int_equal(settings->login.attempts_per_user, 10);
	assert_int_equal(settings->login.attempts_per_address, 50);
	assert_int_equal(settings->login.attempts_window, 15 * MINUTE);
	assert_string_equal(settings->login.pages, "");
	assert_string_equal(settings->login.site_name, "");
	assert_string_equal(settings->login.name_label, "Username");
	assert_string_equal(settings->login.links, "");
	assert_int_equal(settings->sharing.takeovers, 5);
	assert_int_equal(settings->sharing.window, HOUR);
	assert_int_equal(settings->sharing.action, SHARING_LOG);
	assert_int_equal(settings->sharing.cooldown, 15 * MINUTE);
	assert_string_equal(settings->access.upgrade_url, "");
	assert_string_equal(settings->access.confirm_url, "");
	assert_string_equal(settings->access.login_url, "");
	assert_false(settings->access.require_parameter);
	assert_string_equal(settings->mail.server, "");
	assert_int_equal(settings->mail.tls, MAIL_TLS_AUTO);
	assert_string_equal(settings->mail.ca_file, "");
	assert_string_equal(settings->mail.user, "");
	assert_string_equal(settings->mail.password_file, "");
	assert_string_equal(settings->mail.from, "");
	assert_string_equal(settings->mail.site_url, "");
	assert_string_equal(settings->mail.per_recipient, "5/h");
	assert_int_equal(settings->mail.per_domain, 60);
	assert_string_equal(settings->api.clients, "127.0.0.1 ::1");
	assert_int_equal(settings->api.rate, 5000);
	assert_int_equal(settings->api.webhook_interval, 5000);
	assert_int_equal(settings->mail.timeout, 2 * MINUTE);
	assert_int_equal(settings->accounts.signup, SIGNUP_CLOSED);
	assert_int_equal(settings->accounts.email, EMAIL_OPTIONAL);
	assert_int_equal(settings->accounts.password_strength, 0);
	assert_int_equal(settings->accounts.reset_lifetime, 15 * MINUTE);
	assert_string_equal(settings->log.to, "stderr");
	assert_int_equal(settings->log.level, LOG_LEVEL_INFO);
	assert_int_equal(settings->log.format, LOG_FORMAT_TEXT);
	assert_int_equal(settings->log.slow_request, 1000);
	assert_int_equal(options_count, 84);
	talloc_free(loaded.ctx);
}

static void values_are_read(void **state)
{
	struct loaded loaded = load_text("\xef\xbb\xbf[server]\r\n"
	                                 "listen=unix:/a tcp:127.0.0.1:9000 tcp:[::1]:0\r\n"
	                                 "workers  =  3  ; a few\r\n"
	                                 "prefix = /\n"
	                                 "listen_mode = 600\n"
	                                 "[log] ; where to\n"
	                                 "to: /var/log/a;b\n"
	                                 "level=error\n"
	                                 "[server]\n"
	                                 "request_timeout = 200ms\n"
	                                 "[session]\n"
	                                 "cookie_secure = always\n"
	                                 "cookie_samesite = strict\n"
	                                 "[database]\n"
	                                 "prepare = off\n"
	                                 "conninfo = host=a password='#\"='");

	(void)state;
	assert_string_equal(loaded.complaints, "");
	assert_string_equal(loaded.settings.server.listen, "unix:/a tcp:127.0.0.1:9000 tcp:[::1]:0");
	assert_int_equal(loaded.settings.server.workers, 3);
	assert_string_equal(loaded.settings.server.prefix, "");
	assert_int_equal(loaded.settings.server.listen_mode, 0600);
	assert_int_equal(loaded.settings.server.request_timeout, 200);
	assert_string_equal(loaded.settings.log.to, "/var/log/a;b");
	assert_int_equal(loaded.settings.log.level, LOG_LEVEL_ERROR);
	assert_int_equal(loaded.settings.session.cookie_secure, COOKIE_SECURE_ALWAYS);
	assert_int_equal(loaded.settings.session.cookie_samesite, COOKIE_SAMESITE_STRICT);
	assert_false(loaded.settings.database.prepare);
	assert_string_equal(loaded.settings.database.conninfo, "host=a password='#\"='");
	talloc_free(loaded.ctx);
}

static void value_goes_on_in_lines_that_begin_with_white_space(void **state)
{
	struct loaded loaded = load_text("[database]\n"
	                                 "conninfo = host=a ; first\n"
	                                 "\tuser=b ; second\n"
	                                 "# between\n"
	                                 "\n"
	                                 "  dbname=c\n"
	                                 "[server]\n"
	                                 "allowed_clients =\n"
	                                 "  10.0.0.0/8\n"
	                                 "  ; none\n"
	                                 "  fd00::/8  \n");

	(void)state;
	assert_string_equal(loaded.complaints, "");
	assert_string_equal(loaded.settings.database.conninfo, "host=a user=b dbname=c");
	assert_string_equal(loaded.settings.server.allowed_clients, "10.0.0.0/8 fd00::/8");
	talloc_free(loaded.ctx);
	/* The whole value is checked, and reported at its first line. */
	assert_complaints("[server]\nlisten = unix:/a\n  tcp:b\n[log]\nlevel = loud\n",
	                  ":2: server.listen: \"unix:/a tcp:b\" is not unix:/path (at most 107 characters), "
	                  "tcp:ADDRESS:PORT or tcp:[V6ADDRESS]:PORT, several separated by spaces\n"
	                  ":5: log.level: \"loud\" is not debug, info, warning or error\n");
	/* An indented file. */
	assert_complaints(
		"[server]\n  workers = 4\n  max_requests = 3\n",
		":3: server.workers: begins with white space, so it would go on with the value before it, which "
		"is no text\n");
}

static void overrides_win_and_the_last_one_most(void **state)
{
	const char *const overrides[] = {"server.workers=3", "log.level=debug", "server.workers = 5 ",
	                                 "database.conninfo=host=a.b user=c"};
	const struct config_source source = {.path = path, .overrides = overrides, .override_count = 4};
	static const char content[] = "[server]\nworkers = 2\nmax_requests = 7\n";
	struct loaded loaded;

	(void)state;
	write_file(content, sizeof content - 1);
	loaded = load_source(&source);
	assert_string_equal(loaded.complaints, "");
	assert_int_equal(loaded.settings.server.workers, 5);
	assert_int_equal(loaded.settings.server.max_requests, 7);
	assert_int_equal(loaded.settings.log.level, LOG_LEVEL_DEBUG);
	assert_string_equal(loaded.settings.database.conninfo, "host=a.b user=c");
	talloc_free(loaded.ctx);
}

static void short_times_of_tests_are_taken(void **state)
{
	static const char *const short_times[][2] = {
		{"server.request_timeout", "1s"},
		{"server.io_timeout", "200ms"},
		{"server.shutdown_timeout", "1s"},
		{"database.connect_timeout", "200ms"},
		{"database.statement_timeout", "200ms"},
		{"session.lifetime", "1s"},
		{"session.idle_timeout", "1s"},
		{"session.touch_interval", "0"},
		{"session.purge_interval", "1s"},
		{"session.purge_interval", "0"},
		{"session.history", "0"},
		{"session.max_sessions", "0"},
		{"login.memory", "8KiB"},
		{"login.passes", "1"},
		{"server.max_requests", "0"},
		{"server.guard_workers", "0"},
		{"server.guard_workers", "7"},
		{"server.guard_workers", "auto"},
		{"login.attempts_window", "1s"},
		{"sharing.cooldown", "1s"},
		{"sharing.window", "1s"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof short_times / sizeof short_times[0]; i++)
		assert_value_taken(short_times[i][0], short_times[i][1]);
}

/* ---- Refusals ----------------------------------------------------------------------------------------------- */

static void all_that_is_wrong_is_told_with_its_line(void **state)
{
	(void)state;
	assert_complaints(
		"[server]\n"
		"workers = 0\n"
		"worker = 3\n"
		"nonsense\n"
		"request_timeout = 30\n"
		"max_body = 64KB\n"
		"listen_mode = 0888\n"
		"[log]\n"
		"level = verbose\n"
		"[database]\n"
		"prepare = maybe\n",
		":2: server.workers: \"0\" is not a whole number from 1 to 512\n"
		":3: server.worker: there is no such key; did you mean server.workers?\n"
		":4: neither a [section] nor a key = value\n"
		":5: server.request_timeout: \"30\" is not a duration such as 500ms, 30s, 5m, 2h or 14d from 100ms to "
		"1h\n"
		":6: server.max_body: \"64KB\" is not a size such as 64KiB, 64MiB or 1GiB from 1KiB to 16MiB\n"
		":7: server.listen_mode: \"0888\" is not file permissions in octal from 0000 to 0777\n"
		":9: log.level: \"verbose\" is not debug, info, warning or error\n"
		":11: database.prepare: \"maybe\" is not on or off\n");
}

static void file_is_named(void **state)
{
	const struct config_source source = {.path = path};
	struct settings settings;
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *text = NULL, *expected;
	size_t size;
	FILE *complaints = open_memstream(&text, &size);

	(void)state;
	assert_non_null(complaints);
	write_file("\n[log]\nlevel =\n", strlen("\n[log]\nlevel =\n"));
	assert_int_equal(config_load(ctx, &source, &settings, complaints), -1);
	assert_int_equal(fclose(complaints), 0);
	expected = talloc_asprintf(ctx, "%s:3: log.level: \"\" is not debug, info, warning or error\n", path);
	assert_string_equal(text, expected);
	free(text);
	talloc_free(ctx);
}

static void names_that_are_not_known_are_refused(void **state)
{
	(void)state;
	assert_complaints("[session]\nlifetmie = 1d\n",
	                  ":2: session.lifetmie: there is no such key; did you mean session.lifetime?\n");
	assert_complaints("[session]\nLifetime = 1d\n",
	                  ":2: session.Lifetime: there is no such key; did you mean session.lifetime?\n");
	assert_complaints("[server]\nlevel = info\n",
	                  ":2: server.level: there is no such key; did you mean log.level?\n");
	assert_complaints("[server]\nfavourite_colour = blue\n",
	                  ":2: server.favourite_colour: there is no such key; --dump shows all that there are\n");
	/* An unknown name is printed, but without control characters for a terminal. */
	assert_complaints("[s\x1b[2J]\nk\x1b[2J = 1\n",
	                  ":1: there is no section [s?[2J]; --dump shows all that there are\n"
	                  ":2: s?[2J.k?[2J: there is no such key; --dump shows all that there are\n");
	assert_complaints("[server]\nxy = 1\n",
	                  ":2: server.xy: there is no such key; --dump shows all that there are\n");
	assert_complaints("[sever]\nworkers = 2\n", ":1: there is no section [sever]; did you mean [server]?\n");
	assert_complaints("[weather]\n", ":1: there is no section [weather]; --dump shows all that there are\n");
	assert_complaints("workers = 2\n", ":1: a key before the first [section]\n");
}

static void key_set_twice_is_refused(void **state)
{
	(void)state;
	assert_complaints("[server]\nworkers = 2\n[log]\nlevel = info\n[server]\nworkers = 2\n",
	                  ":6: server.workers: was set already in line 2\n");
	assert_complaints("[server]\nuser = a\n[server]\n  user = b\n", ":4: server.user: was set already in line 2\n");
}

static void malformed_lines_are_refused_one_by_one(void **state)
{
	(void)state;
	assert_complaints("[server]\nworkers 4\nworkers ; = 4\n= 4\nlisten\n",
	                  ":2: neither a [section] nor a key = value\n"
	                  ":3: neither a [section] nor a key = value\n"
	                  ":4: server.: there is no such key; --dump shows all that there are\n"
	                  ":5: neither a [section] nor a key = value\n");
	assert_complaints("[server\nworkers = 2\n[log]\nlevel = no\n",
	                  ":1: a section's name without a ] behind it\n"
	                  ":4: log.level: \"no\" is not debug, info, warning or error\n");
	/* In the order of the lines, though a value may continue after an invalid line. */
	assert_complaints("[server]\nworkers = 0\nworkers 4\n",
	                  ":2: server.workers: \"0\" is not a whole number from 1 to 512\n"
	                  ":3: neither a [section] nor a key = value\n");
	assert_complaints("[server] workers = 4\n", ":1: text behind a [section]; a key needs a line of its own\n");
}

static void line_that_is_too_long_is_refused(void **state)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *content = talloc_strdup(ctx, "[database]\nconninfo = ");
	char *fits;
	struct loaded loaded;

	(void)state;
	for (int i = 0; i < 500; i++)
		content = talloc_strdup_append(content, "01234567");
	fits = talloc_asprintf(ctx, "%s\n[log]\nlevel = error\n", content);
	loaded = load_text(fits);
	assert_string_equal(loaded.complaints, "");
	assert_int_equal(strlen(loaded.settings.database.conninfo), 4000);
	assert_int_equal(loaded.settings.log.level, LOG_LEVEL_ERROR);
	talloc_free(loaded.ctx);
	content = talloc_asprintf_append(content, "%0200d\n[log]\nlevel = no\n", 0);
	assert_complaints(content,
	                  ":2: longer than 4095 bytes\n:4: log.level: \"no\" is not debug, info, warning or error\n");
	/* Each line is short enough, but the value is not. */
	*strstr(fits, "\n[log]") = '\0';
	assert_complaints(talloc_asprintf(ctx, "%s\n  more\n", fits),
	                  ":2: database.conninfo: the value is not at most 4000 characters\n");
	talloc_free(ctx);
}

static void control_characters_are_refused(void **state)
{
	const struct config_source source = {.path = path};
	static const char content[] = "[server]\nworkers = 3\0000\nuser = \0\n[log]\nlevel = no\n";
	struct loaded loaded;

	(void)state;
	write_file(content, sizeof content - 1);
	loaded = load_source(&source);
	assert_string_equal(
		loaded.complaints,
		":2: a NUL byte\n:3: a NUL byte\n:5: log.level: \"no\" is not debug, info, warning or error\n");
	talloc_free(loaded.ctx);
	/* And are not printed to the terminal. */
	assert_complaints(
		"[server]\nuser = a\x1b[31mb\n",
		":2: server.user: \"a?[31mb\" is not a text without control characters and without white space "
		"before a semicolon\n");
	assert_value_refused("server.user", "a\nb");
	assert_value_refused("server.user", "a ;b");
	assert_value_refused("server.user", "a\t;b");
	assert_value_refused("server.user", ";b");
}

static void override_that_is_wrong_is_named(void **state)
{
	(void)state;
	assert_override_complaints("server.workers=0",
	                           "-o server.workers=0: \"0\" is not a whole number from 1 to 512\n");
	assert_override_complaints("server.wokers=3",
	                           "-o server.wokers: there is no such key; did you mean server.workers?\n");
	assert_override_complaints("session.on_limit=kick",
	                           "-o session.on_limit=kick: \"kick\" is not displace, ask or refuse\n");
	assert_override_complaints("workers=3", "-o: is to be followed by SECTION.KEY=VALUE\n");
	assert_override_complaints("workers=3.5", "-o: is to be followed by SECTION.KEY=VALUE\n");
	assert_override_complaints("server.workers", "-o: is to be followed by SECTION.KEY=VALUE\n");
	assert_override_complaints("", "-o: is to be followed by SECTION.KEY=VALUE\n");
}

static void passwords_are_not_shown(void **state)
{
	(void)state;
	assert_complaints("[database]\nconninfo = password=s3cret\x01\n",
	                  ":2: database.conninfo: the value is not a text without control characters and without white "
	                  "space before a semicolon\n");
	assert_complaints("[database]\npassword = s3cret\nconninfo = a\nconninfo = password=s3cret\npassword s3cret\n",
	                  ":2: database.password: there is no such key; --dump shows all that there are\n"
	                  ":4: database.conninfo: was set already in line 3\n"
	                  ":5: neither a [section] nor a key = value\n");
	assert_override_complaints(
		"database.conninfo=password=s3cret ;",
		"-o database.conninfo: the value is not a text without control characters and without "
		"white space before a semicolon\n");
	assert_override_complaints("database.coninfo=password=s3cret",
	                           "-o database.coninfo: there is no such key; did you mean database.conninfo?\n");
}

static void texts_are_checked(void **state)
{
	static const char *const wrong[][2] = {
		{"server.listen", "/run/sock"},
		{"server.listen", "unix:relative"},
		{"server.listen", "unix:/"},
		{"server.listen", "tcp:127.0.0.1"},
		{"server.listen", "tcp:127.0.0.1:"},
		{"server.listen", "tcp::9000"},
		{"server.listen", "tcp:127.0.0.1:65536"},
		{"server.listen", "tcp:127.0.0.1:-1"},
		{"server.listen", "tcp:127.0.0.1:99999999999999999999"},
		{"server.listen", "tcp:::1:9000"},
		{"server.listen", "tcp:[]:9000"},
		{"server.listen", "tcp:[::1:9000"},
		{"server.listen", "tcp:[127.0.0.1]:9000"},
		{"server.listen", "tcp:example.org:9000"},
		{"server.listen", "unix:/a x"},
		{"server.allowed_clients", "localhost"},
		{"server.allowed_clients", "10.0.0.0/33"},
		{"server.allowed_clients", "10.0.0.0/"},
		{"server.allowed_clients", "::1/129"},
		{"server.operators", "127.0.0.1,::1"},
		{"server.prefix", ""},
		{"server.prefix", "session"},
		{"server.prefix", "/session/"},
		{"server.prefix", "//"},
		{"server.prefix", "/a//b"},
		{"server.prefix", "/a/../b"},
		{"server.prefix", "/a b"},
		{"server.prefix", "/a?b"},
		{"server.prefix", "/%61"},
		{"session.cookie_name", ""},
		{"session.cookie_name", "__Host-onesession"},
		{"session.cookie_name", "__host-session"},
		{"session.cookie_name", "__Secure-onesession"},
		{"session.cookie_name", "a b"},
		{"session.cookie_name", "a=b"},
		{"session.cookie_name", "a;b"},
		{"session.cookie_name", "\xc3\xa9"},
		{"login.default_next", "https://example.org/"},
		{"login.default_next", "//example.org"},
		{"login.default_next", "/\\example.org"},
		{"login.default_next", "/\t/example.org"},
		{"login.pages", "pages"},
		{"log.to", "file"},
		{"log.to", ""},
		{"session.on_limit", "DISPLACE"},
		{"session.on_limit", ""},
		{"server.listen_mode", "01777"},
		{"server.listen_mode", "rw"},
		{"server.workers", "513"},
		{"server.workers", "9223372036854775808"},
		{"server.workers", "4 # four"},
		{"login.memory", "8191"},
		{"login.passes", "0"},
		{"session.lifetime", "0"},
	};
	static const char *const right[][2] = {
		{"server.listen", "unix:/run/a tcp:0.0.0.0:0 tcp:[::]:65535 tcp:[fe80::1%eth0]:9000"},
		{"server.allowed_clients", ""},
		{"server.allowed_clients", "10.0.0.0/8 192.0.2.1 fd00::/8 ::ffff:192.0.2.1"},
		{"server.prefix", "/"},
		{"server.prefix", "/a/b-c_d~e.f"},
		{"session.cookie_name", "my-app.sid"},
		{"login.default_next", "/members/?tab=1#top"},
		{"log.to", "syslog"},
		{"log.to", "/var/log/onesession.log"},
		{"session.on_limit", "ask"},
		{"server.listen_mode", "0"},
	};
	char *path_of_107, *path_of_108;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_value_refused(wrong[i][0], wrong[i][1]);
	for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
		assert_value_taken(right[i][0], right[i][1]);
	path_of_107 = talloc_asprintf(NULL, "unix:/%0106d", 0);
	path_of_108 = talloc_asprintf(NULL, "unix:/%0107d", 0);
	assert_value_taken("server.listen", path_of_107);
	assert_value_refused("server.listen", path_of_108);
	talloc_free(path_of_107);
	talloc_free(path_of_108);
}

static void cookie_for_other_sites_must_be_secure(void **state)
{
	static const char content[] = "[session]\ncookie_samesite = none\n";
	const char *const override = "session.cookie_secure=never";
	const struct config_source source = {.path = path, .overrides = &override, .override_count = 1};
	struct loaded loaded;

	(void)state;
	assert_complaints(
		"[session]\ncookie_samesite = none\ncookie_secure = never\n",
		": session.cookie_samesite: none needs a secure cookie; session.cookie_secure must not be never\n");
	assert_value_taken("session.cookie_samesite", "none");
	write_file(content, sizeof content - 1);
	loaded = load_source(&source);
	assert_string_equal(
		loaded.complaints,
		": session.cookie_samesite: none needs a secure cookie; session.cookie_secure must not be never\n");
	talloc_free(loaded.ctx);
}

static void guard_workers_are_less_than_all(void **state)
{
	static const char why[] =
		": server.guard_workers: 3 is not less than server.workers, 3: one worker at least has "
		"to be left for modules\n";

	(void)state;
	assert_complaints("[server]\nworkers = 3\nguard_workers = 3\n", why);
	assert_complaints("[server]\nguard_workers = many\n",
	                  ":2: server.guard_workers: \"many\" is not auto or a whole number from 0 to 511\n");
}

static void file_that_cannot_be_read_is_refused(void **state)
{
	struct config_source source = {.path = "/nowhere/at/all.conf"};
	struct loaded loaded = load_source(&source);

	(void)state;
	assert_string_equal(loaded.complaints, "/nowhere/at/all.conf: No such file or directory\n");
	talloc_free(loaded.ctx);
	source.path = "/tmp";
	loaded = load_source(&source);
	assert_string_equal(loaded.complaints, "/tmp: Is a directory\n");
	talloc_free(loaded.ctx);
	/* Its first read fails. */
	source.path = "/proc/self/mem";
	loaded = load_source(&source);
	assert_string_equal(loaded.complaints, "/proc/self/mem: Input/output error\n");
	talloc_free(loaded.ctx);
}

/* ---- Showing ------------------------------------------------------------------------------------------------ */

static void dump_reads_as_the_same(void **state)
{
	const char *const overrides[] = {
		"server.listen=unix:/a tcp:[::1]:9000",
		"server.listen_mode=7",
		"server.prefix=/",
		"server.request_timeout=1500ms",
		"server.max_body=1025",
		"database.conninfo=host=/a password='x=;#\"y'",
		"database.prepare=off",
		"session.cookie_samesite=none",
		"session.cookie_secure=always",
		"session.on_limit=refuse",
		"login.default_next=/a;b",
		"login.memory=4GiB",
		"sharing.action=cooldown",
		"log.to=/var/log/#x;y",
		"log.format=json",
		"server.user=J\xc3\xbcrgen",
	};
	const struct config_source source = {
		.path = path, .overrides = overrides, .override_count = sizeof overrides / sizeof overrides[0]};
	struct loaded first, second;
	char *text;

	(void)state;
	write_file("", 0);
	first = load_source(&source);
	assert_string_equal(first.complaints, "");
	text = dump(first.ctx, &first.settings);
	second = load_text(text);
	assert_string_equal(second.complaints, "");
	assert_string_equal(dump(second.ctx, &second.settings), text);
	assert_string_equal(second.settings.server.prefix, "");
	assert_int_equal(second.settings.server.listen_mode, 7);
	assert_string_equal(second.settings.database.conninfo, "host=/a password='x=;#\"y'");
	assert_string_equal(second.settings.log.to, "/var/log/#x;y");
	assert_non_null(strstr(text, "[server]\nlisten = unix:/a tcp:[::1]:9000\nlisten_mode = 0007\n"));
	assert_non_null(strstr(text, "request_timeout = 1500ms\n"));
	assert_non_null(strstr(text, "max_body = 1025B\n"));
	assert_non_null(strstr(text, "\n\n[log]\nto = /var/log/#x;y\nlevel = info\nformat = json\n"));
	talloc_free(first.ctx);
	talloc_free(second.ctx);
}

static void dump_shows_every_key_once(void **state)
{
	struct loaded loaded = load_text("");
	const char *text = dump(loaded.ctx, &loaded.settings);
	size_t lines = 0;

	(void)state;
	for (const char *at = text; (at = strstr(at, " = ")) != NULL; at++)
		lines++;
	assert_int_equal(lines, options_count);
	talloc_free(loaded.ctx);
}

/* Uncommented, it sets each key to its default. */
static void sample_is_a_file_of_the_defaults(void **state)
{
	struct loaded defaults = load_text("");
	char *text = sample(defaults.ctx);
	struct loaded loaded = load_text(text);

	(void)state;
	assert_string_equal(dump(loaded.ctx, &loaded.settings), dump(defaults.ctx, &defaults.settings));
	talloc_free(loaded.ctx);
	for (size_t i = 0; i < options_count; i++) {
		char *line = talloc_asprintf(defaults.ctx, "\n#%s = %s\n", options[i].key, options[i].fallback);
		char *found = strstr(text, line);

		if (found == NULL)
			fail_msg("no line%s", line);
		found[1] = ' ';
	}
	/* A key after white space would continue the value before it. */
	for (char *at = text; (at = strstr(at, "\n ")) != NULL;)
		memmove(at + 1, at + 2, strlen(at + 1));
	loaded = load_text(text);
	assert_string_equal(loaded.complaints, "");
	assert_string_equal(dump(loaded.ctx, &loaded.settings), dump(defaults.ctx, &defaults.settings));
	talloc_free(loaded.ctx);
	talloc_free(defaults.ctx);
}

static void sample_says_what_is_right(void **state)
{
	char *text = sample(NULL);

	(void)state;
	assert_non_null(strstr(text, "\n# It is displace, ask or refuse.\n#on_limit = displace\n"));
	assert_non_null(strstr(text, "# It is a whole number from 1 to 512.\n#workers = 8\n"));
	assert_non_null(strstr(text, " (read at start only).\n#user = "));
	assert_non_null(strstr(text, "\n\n[session]\n"));
	talloc_free(text);
}

static char doubts[1000];

static void note_doubt(const char *doubt)
{
	size_t used = strlen(doubts);

	(void)snprintf(doubts + used, sizeof doubts - used, "%.16s. ", doubt);
}

static void assert_doubts(const char *text, const char *expected)
{
	struct loaded loaded = load_text(text);

	doubts[0] = '\0';
	config_warnings(&loaded.settings, note_doubt);
	assert_string_equal(doubts, expected);
	talloc_free(loaded.ctx);
}

static void what_is_hardly_meant_is_told(void **state)
{
	(void)state;
	assert_doubts("", "");
	assert_doubts("[session]\non_limit = ask\n", "");
	assert_doubts("[session]\non_limit = refuse\nidle_timeout = 1h\n", "");
	assert_doubts("[session]\non_limit = refuse\n", "session.on_limit. ");
	assert_doubts("[server]\nworkers = 2\n", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_manual),
		cmocka_unit_test(values_are_read),
		cmocka_unit_test(value_goes_on_in_lines_that_begin_with_white_space),
		cmocka_unit_test(overrides_win_and_the_last_one_most),
		cmocka_unit_test(short_times_of_tests_are_taken),
		cmocka_unit_test(all_that_is_wrong_is_told_with_its_line),
		cmocka_unit_test(file_is_named),
		cmocka_unit_test(names_that_are_not_known_are_refused),
		cmocka_unit_test(key_set_twice_is_refused),
		cmocka_unit_test(malformed_lines_are_refused_one_by_one),
		cmocka_unit_test(line_that_is_too_long_is_refused),
		cmocka_unit_test(control_characters_are_refused),
		cmocka_unit_test(override_that_is_wrong_is_named),
		cmocka_unit_test(passwords_are_not_shown),
		cmocka_unit_test(texts_are_checked),
		cmocka_unit_test(cookie_for_other_sites_must_be_secure),
		cmocka_unit_test(guard_workers_are_less_than_all),
		cmocka_unit_test(file_that_cannot_be_read_is_refused),
		cmocka_unit_test(dump_reads_as_the_same),
		cmocka_unit_test(dump_shows_every_key_once),
		cmocka_unit_test(sample_is_a_file_of_the_defaults),
		cmocka_unit_test(sample_says_what_is_right),
		cmocka_unit_test(what_is_hardly_meant_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
