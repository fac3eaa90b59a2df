/* The table of options, and the checks of those that are strings. */
#include "base/options.h"

#include "base/config_sections.h"
#include "base/http_token.h"
#include "base/key_from.h"
#include "base/links.h"
#include "base/mail_settings.h"
#include "base/networks.h"
#include "base/settings.h"
#include "base/units.h"
#include "base/utf8.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <sys/un.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define YEAR   (365 * DAY)
#define KIB    INT64_C(1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)
/* A key and a value as long fit in a line of the file. */
#define STRING_MAX 4000

static bool are_words(const char *value, bool (*is_right)(const char *word))
{
	char word[256];

	while (*(value += strspn(value, " \t")) != '\0') {
		size_t length = strcspn(value, " \t");

		if (length >= sizeof word)
			return false;
		memcpy(word, value, length);
		word[length] = '\0';
		if (!is_right(word))
			return false;
		value += length;
	}
	return true;
}

static bool is_address(int family, const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(family, text, address) == 1;
}

static bool is_listen_word(const char *word)
{
	char host[64];
	const char *port = strrchr(word, ':');
	size_t length;
	int64_t number;

	if (strncmp(word, "unix:/", 6) == 0)
		return word[6] != '\0' && strlen(word + 5) < sizeof((struct sockaddr_un *)NULL)->sun_path;
	if (strncmp(word, "tcp:", 4) != 0 || port < word + 4)
		return false;
	if (units_parse_number(port + 1, &number) != 0 || number > 65535)
		return false;
	length = (size_t)(port - (word + 4));
	if (length >= sizeof host)
		return false;
	memcpy(host, word + 4, length);
	host[length] = '\0';
	if (length < 3 || host[0] != '[' || host[length - 1] != ']')
		return is_address(AF_INET, host);
	/* A link-local address names its interface behind a %. */
	host[strcspn(host, "%]")] = '\0';
	return is_address(AF_INET6, host + 1);
}

static const char *check_listen(const char *value)
{
	return are_words(value, is_listen_word) ? NULL
	                                        : "unix:/path (at most 107 characters), tcp:ADDRESS:PORT or "
	                                          "tcp:[V6ADDRESS]:PORT, several separated by spaces";
}

static const char *check_networks(const char *value)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	const char *wrong;
	bool is_right = ctx != NULL && networks_parse(ctx, value, &wrong) != NULL;

	talloc_free(ctx);
	return is_right ? NULL : "IP addresses, each with an optional /prefix, separated by spaces";
}

const char *options_prefix_problem(const char *value)
{
	static const char form[] =
		"a path that begins with a slash and does not end with one, such as /session; or / alone";

	if (value[0] != '/' || (value[1] != '\0' && value[strlen(value) - 1] == '/'))
		return form;
	/* Browsers and web servers would take these out of a request's path. */
	if (strstr(value, "//") != NULL || strstr(value, "/.") != NULL)
		return "a path without // and without a part that begins with a dot";
	for (; *value != '\0'; value++) {
		if (!isalnum((unsigned char)*value) && strchr("/-._~", *value) == NULL)
			return "a path of letters, digits, slashes and - . _ ~";
	}
	return NULL;
}

static bool is_module_word(const char *word)
{
	return word[0] == '/' ? word[1] != '\0' : config_section_can_be(word);
}

static const char *check_modules(const char *value)
{
	return are_words(value, is_module_word) ? NULL
	                                        : "names (a letter, then letters, digits and _, all of them small) or "
	                                          "absolute paths, separated by spaces";
}

static const char *check_cookie_name(const char *value)
{
	static const char form[] =
		"at most 100 letters, digits and " HTTP_TOKEN_MARKS " (the prefix __Host- is added when the "
		"cookie is secure)";

	return is_http_token(value) && strlen(value) <= 100 && strncasecmp(value, "__Host-", 7) != 0 &&
	                       strncasecmp(value, "__Secure-", 9) != 0
	               ? NULL
	               : form;
}

static const char *check_key_from(const char *value)
{
	struct key_from key_from;

	return key_from_parse(value, &key_from);
}

/* Of characters that an address has: no spaces, nothing but ASCII, and neither \\ nor " nor any of `others`. */
static bool is_of_an_address(const char *value, const char *others)
{
	for (; *value != '\0'; value++) {
		if ((unsigned char)*value <= 0x20 || (unsigned char)*value >= 0x7f || strchr("\\\"", *value) != NULL ||
		    strchr(others, *value) != NULL)
			return false;
	}
	return true;
}

static bool is_path_of_site(const char *value)
{
	return value[0] == '/' && value[1] != '/';
}

static const char *check_default_next(const char *value)
{
	return value[0] == '\0' || (is_path_of_site(value) && is_of_an_address(value, ""))
	               ? NULL
	               : "a path of the site, such as /members/, or nothing for the account page";
}

/* Where people are led to with next= behind it, which a fragment would hide. */
static const char *check_page_url(const char *value)
{
	bool is_url = strncmp(value, "https://", 8) == 0 && value[8] != '\0' && strchr("/?", value[8]) == NULL;

	return value[0] == '\0' || ((is_path_of_site(value) || is_url) && is_of_an_address(value, "#<>"))
	               ? NULL
	               : "a path of the site, such as /plans, or an address that begins with https://, without #; or "
	                 "nothing";
}

/* A word or a few, that stand in a heading and in a tab. */
#define SHORT_TEXT_MAX 100

static const char *check_short_text(const char *value)
{
	return strlen(value) <= SHORT_TEXT_MAX && utf8_is_valid(value) ? NULL : "a text in UTF-8 of at most 100 bytes";
}

static const char *check_label(const char *value)
{
	return value[0] != '\0' && check_short_text(value) == NULL ? NULL : "a text in UTF-8 of 1 to 100 bytes";
}

static const char *check_links(const char *value)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	const char *expected = "possible with the memory that there is";

	if (ctx != NULL && links_parse(ctx, value, &expected) != NULL)
		expected = NULL;
	talloc_free(ctx);
	return expected;
}

static const char *check_absolute(const char *value)
{
	return value[0] == '\0' || value[0] == '/' ? NULL : "a path that begins with a slash, or nothing";
}

static const char *check_folder(const char *value)
{
	return value[0] == '/' ? NULL : "a path that begins with a slash";
}

static const char *check_mail_server(const char *value)
{
	struct mail_server server;

	return mail_server_parse(value, &server);
}

static const char *check_mail_from(const char *value)
{
	struct mail_from from;

	return mail_from_parse(value, &from);
}

static const char *check_mail_rate(const char *value)
{
	int64_t count, window_ms;

	return mail_rate_parse(value, &count, &window_ms);
}

static const char *check_log_target(const char *value)
{
	return value[0] == '/' || strcmp(value, "stderr") == 0 || strcmp(value, "syslog") == 0
	               ? NULL
	               : "stderr, syslog, or a path that begins with a slash";
}

static bool is_notice(const char *word)
{
	return strcmp(word, "new_browser") == 0 || strcmp(word, "password_changed") == 0 ||
	       strcmp(word, "email_changed") == 0;
}

static const char *check_notices(const char *value)
{
	return are_words(value, is_notice) ? NULL
	                                   : "new_browser, password_changed and email_changed, those that are wanted, "
	                                     "separated by spaces";
}

static const char *const secure_choices[] = {"auto", "always", "never", NULL};
static const char *const samesite_choices[] = {"lax", "strict", "none", NULL};
static const char *const on_limit_choices[] = {"displace", "ask", "refuse", NULL};
static const char *const sharing_choices[] = {"log", "cooldown", NULL};
static const char *const signup_choices[] = {"closed", "invite", "open", NULL};
static const char *const email_choices[] = {"optional", "required", NULL};
static const char *const mail_tls_choices[] = {"auto", "required", "opportunistic", "off", NULL};
static const char *const level_choices[] = {"debug", "info", "warning", "error", NULL};
static const char *const format_choices[] = {"text", "json", NULL};

#define AT(section, key) offsetof(struct settings, section.key)
#define TEXT(section, key, fallback, check, ...)                                                                       \
	{                                                                                                              \
#section, #key, OPTION_STRING, AT(section, key), fallback, 0, STRING_MAX, NULL, check, __VA_ARGS__     \
	}
#define RANGE(section, key, type, fallback, min, max, ...)                                                             \
	{                                                                                                              \
#section, #key, type, AT(section, key), fallback, min, max, NULL, NULL, __VA_ARGS__                    \
	}
#define CHOICE(section, key, fallback, choices, ...)                                                                   \
	{                                                                                                              \
#section, #key, OPTION_CHOICE, AT(section, key), fallback, 0, 0, choices, NULL, __VA_ARGS__            \
	}

enum { FIXED = 0, RELOADABLE = OPTION_RELOADABLE };

/* clang-format off */
const struct option options[] = {
	TEXT(server, listen, "unix:/run/onesession/onesession.sock", check_listen, FIXED,
	     "Where to listen when neither systemd nor spawn-fcgi gives a socket: unix:/path, tcp:ADDRESS:PORT, tcp:[V6]:PORT"),
	RANGE(server, listen_mode, OPTION_MODE, "0660", 0, 0777, FIXED,
	      "Which users may connect to our own unix socket, as file permissions"),
	TEXT(server, listen_owner, "", NULL, FIXED, "The user that owns our own unix socket; empty: the user who starts the daemon"),
	TEXT(server, listen_group, "", NULL, FIXED, "The group of our own unix socket, as a rule the web server's"),
	TEXT(server, allowed_clients, "127.0.0.1 ::1", check_networks, RELOADABLE,
	     "Addresses, with an optional /prefix, that may connect by TCP: the web servers'"),
	TEXT(server, allowed_users, "", NULL, RELOADABLE,
	     "Users that may connect by unix socket; empty: all that listen_mode lets in"),
	TEXT(server, user, "", NULL, FIXED, "The user to become when started as root; empty: onesession, if there is such a user"),
	TEXT(server, group, "", NULL, FIXED, "The group to become with it; empty: the user's own"),
	TEXT(server, prefix, "/session", options_prefix_problem, RELOADABLE | OPTION_ROOT_IS_EMPTY, "The path below which the daemon's own routes are"),
	RANGE(server, workers, OPTION_NUMBER, "8", 1, 512, RELOADABLE,
	      "Processes that serve requests; each holds a database connection"),
	RANGE(server, guard_workers, OPTION_NUMBER, "auto", 0, 511, RELOADABLE | OPTION_AUTO,
	      "How many of the workers are kept for guard and sign-in, and run no module's handlers; auto: 1 with modules, if there are 2 workers"),
	RANGE(server, max_requests, OPTION_NUMBER, "0", 0, 1000000000, RELOADABLE,
	      "A worker is replaced after as many requests and up to a tenth more, when another one is up; 0: never"),
	RANGE(server, request_timeout, OPTION_DURATION, "30s", 100, HOUR, RELOADABLE,
	      "A worker whose request takes longer is killed and replaced"),
	RANGE(server, io_timeout, OPTION_DURATION, "5s", 100, 10 * MINUTE, RELOADABLE,
	      "How long the web server may take to send a request, and to take an answer"),
	RANGE(server, shutdown_timeout, OPTION_DURATION, "30s", 0, HOUR, RELOADABLE,
	      "How long requests under way may take after TERM or QUIT"),
	RANGE(server, max_body, OPTION_SIZE, "64KiB", KIB, 16 * MIB, RELOADABLE, "The largest body of a request that is read"),
	TEXT(server, spool, "/var/lib/onesession/spool", check_folder, RELOADABLE,
	     "The folder for uploads under way; on the file system of the folders that applications keep them in, or they are copied"),
	RANGE(server, spool_max, OPTION_SIZE, "16GiB", MIB, MIB * MIB, RELOADABLE,
	      "What all uploads under way may have in the spool; past it they are answered with 507"),
	RANGE(server, upload_rate, OPTION_SIZE, "4KiB", 0, GIB, RELOADABLE,
	      "What an upload under way has to bring in a second, on average of four io_timeout; a slower one is answered with 408"),
	TEXT(server, operators, "127.0.0.1 ::1", check_networks, RELOADABLE, "Addresses that may see /metrics and /status"),
	TEXT(server, modules, "", check_modules, RELOADABLE,
	     "Modules to load, separated by spaces: names of files in the folder of modules, without their .so, or absolute paths"),

	TEXT(database, conninfo, "dbname=onesession", NULL, RELOADABLE | OPTION_SECRET,
	     "How to reach PostgreSQL: a libpq connection string or URI; put a password into a passfile"),
	RANGE(database, connect_timeout, OPTION_DURATION, "2s", 100, MINUTE, RELOADABLE, "How long connecting may take"),
	RANGE(database, statement_timeout, OPTION_DURATION, "3s", 100, 10 * MINUTE, RELOADABLE,
	      "How long a statement may take before the answer is 503"),
	RANGE(database, prepare, OPTION_SWITCH, "on", 0, 1, RELOADABLE,
	      "Prepared statements; off for pgbouncer before 1.21 in transaction pooling"),

	RANGE(session, lifetime, OPTION_DURATION, "14d", SECOND, 10 * YEAR, RELOADABLE, "How long a session lasts at the most"),
	RANGE(session, idle_timeout, OPTION_DURATION, "0", 0, 10 * YEAR, RELOADABLE,
	      "A session that was not used for so long has ended; 0: off"),
	RANGE(session, touch_interval, OPTION_DURATION, "60s", 0, DAY, RELOADABLE,
	      "last_seen_at is written at most once in this time (a quarter of idle_timeout, if that is shorter)"),
	TEXT(session, cookie_name, COOKIE_NAME_DEFAULT, check_cookie_name, RELOADABLE,
	     "The cookie's name; __Host- is put before it when secure; the web server's configuration names it, too"),
	CHOICE(session, cookie_secure, "auto", secure_choices, RELOADABLE,
	       "Send the cookie by HTTPS only; auto: when the sign-in came by HTTPS"),
	CHOICE(session, cookie_samesite, "lax", samesite_choices, RELOADABLE, "The cookie's SameSite attribute"),
	RANGE(session, cookie_persistent, OPTION_SWITCH, "on", 0, 1, RELOADABLE,
	      "The cookie lasts as long as the session (Max-Age); off: until the browser is closed"),
	TEXT(session, key_from, "", check_key_from, RELOADABLE,
	     "Where a request has a key that the application has made and told POST /api/sessions: cookie NAME, or bearer; empty: keys are the daemon's own"),
	RANGE(session, bearer, OPTION_SWITCH, "off", 0, 1, RELOADABLE,
	      "A session's token is also taken from Authorization: Bearer, where the daemon's own cookie is not there"),
	RANGE(session, max_sessions, OPTION_NUMBER, "1", 0, 10000, RELOADABLE, "How many sessions of an account may be live at once; 0: any number"),
	CHOICE(session, on_limit, "displace", on_limit_choices, RELOADABLE,
	       "A login past the limit ends the oldest session, asks first, or is refused until another one has ended"),
	RANGE(session, purge_interval, OPTION_DURATION, "5m", 0, YEAR, RELOADABLE, "How often expired sessions are removed, and accounts that their people have deleted; 0: never"),
	RANGE(session, history, OPTION_DURATION, "30d", 0, 100 * YEAR, RELOADABLE,
	      "How long ended sessions and events are kept; events are for a day at least"),

	RANGE(login, enabled, OPTION_SWITCH, "on", 0, 1, RELOADABLE,
	      "Whether people sign in with the daemon's own pages and passwords; off: the site has a sign-in of its own, which tells POST /session/api/sessions"),
	TEXT(login, default_next, "", check_default_next, RELOADABLE, "Where to go after signing in; empty: the account page"),
	RANGE(login, memory, OPTION_SIZE, "64MiB", 8 * KIB, 4 * GIB, RELOADABLE, "Memory for one password hash (Argon2id)"),
	RANGE(login, passes, OPTION_NUMBER, "3", 1, 64, RELOADABLE, "Passes over that memory"),
	RANGE(login, max_hashing, OPTION_NUMBER, "2", 1, 512, FIXED,
	      "How many passwords are hashed at the same time"),
	RANGE(login, attempts_per_user, OPTION_NUMBER, "10", 0, 1000000, RELOADABLE, "Failed logins of an account before it is throttled"),
	RANGE(login, attempts_per_address, OPTION_NUMBER, "50", 0, 1000000, RELOADABLE, "Failed logins from an address, or a /64 of IPv6, before it is throttled; a /48 has ten times as many"),
	RANGE(login, attempts_window, OPTION_DURATION, "15m", SECOND, YEAR, RELOADABLE, "The time over which failed logins are counted"),
	RANGE(login, fresh, OPTION_DURATION, "10m", SECOND, YEAR, RELOADABLE, "For so long after signing in, or proving it again, nobody is asked for the password once more"),
	TEXT(login, pages, "", check_absolute, RELOADABLE, "A folder with pages of your own, in place of the built-in ones of the same names"),
	TEXT(login, site_name, "", check_short_text, RELOADABLE, "What the site is called, at the top of each page; it leads to the front page"),
	TEXT(login, name_label, NAME_LABEL_DEFAULT, check_label, RELOADABLE, "What the pages call the name that people sign in with: Member number, E-mail address"),
	TEXT(login, links, "", check_links, RELOADABLE,
	     "Links at the foot of each page: Privacy policy /privacy, Help https://help.example.org/; paths of the site have to be opened in the web server's configuration"),

	RANGE(sharing, takeovers, OPTION_NUMBER, "5", 0, 1000000, RELOADABLE, "Displacements of an account that count as sharing"),
	RANGE(sharing, window, OPTION_DURATION, "1h", SECOND, YEAR, RELOADABLE, "The time over which they are counted"),
	CHOICE(sharing, action, "log", sharing_choices, RELOADABLE, "What follows: a line in the log, or a cooldown for other devices"),
	RANGE(sharing, cooldown, OPTION_DURATION, "15m", SECOND, YEAR, RELOADABLE, "How long other devices then wait"),

	TEXT(access, upgrade_url, "", check_page_url, RELOADABLE,
	     "Where people go who lack a plan, or whose plan has ended: a path of the site or https://...; next= is added, the page that they wanted; empty: a page says it"),
	TEXT(access, confirm_url, "", check_page_url, RELOADABLE,
	     "Where people prove again who they are, in place of the daemon's own page: for a sign-in of the site's own"),
	TEXT(access, login_url, "", check_page_url, RELOADABLE,
	     "Where people sign in when login.enabled is off: a path of the site or https://...; next= and reason= are added; empty: a page says why they are not signed in"),
	RANGE(access, require_parameter, OPTION_SWITCH, "off", 0, 1, RELOADABLE,
	      "Whether the guard answers 503 where the web server does not say by ONESESSION_REQUIRE what a place needs; off: any live session is let in there"),

	CHOICE(accounts, signup, "closed", signup_choices, RELOADABLE,
	       "Who may make an account: operators alone, also whom they invite, or everybody who has an e-mail address"),
	CHOICE(accounts, email, "optional", email_choices, RELOADABLE, "Whether operators have to give each new account an e-mail address; who signs up always proves one"),
	RANGE(accounts, password_strength, OPTION_NUMBER, "0", 0, 4, RELOADABLE,
	      "What a new password has to withstand, as zxcvbn counts: 10^3, 10^6, 10^8, 10^10 guesses for 1 to 4; 0: its length alone counts"),
	RANGE(accounts, reset_lifetime, OPTION_DURATION, "15m", MINUTE, DAY, RELOADABLE, "How long a mail lets in who has forgotten the password"),
	RANGE(accounts, verify_lifetime, OPTION_DURATION, "1d", MINUTE, YEAR, RELOADABLE, "How long a mail proves an address; a sign-up is forgotten after that"),
	RANGE(accounts, invite_lifetime, OPTION_DURATION, "7d", MINUTE, YEAR, RELOADABLE, "How long an invitation can be accepted"),
	RANGE(accounts, deletion_pause, OPTION_DURATION, "7d", 0, YEAR, RELOADABLE,
	      "How long an account that its person has deleted can be kept by signing in"),
	TEXT(accounts, notices, "new_browser password_changed email_changed", check_notices, RELOADABLE,
	     "What people get a mail about: a sign-in from a browser that was not used before, another password, another address"),

	TEXT(mail, server, "", check_mail_server, RELOADABLE,
	     "Where mail goes: smtp://HOST[:PORT], smtps://HOST[:PORT], sendmail:/PATH; empty: none is sent, and pages do not offer what needs it"),
	CHOICE(mail, tls, "auto", mail_tls_choices, RELOADABLE,
	       "Whether smtp:// has to offer STARTTLS; auto: required, but not used with a server on this machine (127.0.0.1, localhost). Certificates are verified whenever it is used"),
	TEXT(mail, ca_file, "", check_absolute, RELOADABLE,
	     "A file of certificates by which the server's is verified; empty: those that this machine trusts"),
	TEXT(mail, user, "", NULL, RELOADABLE, "The user for SMTP AUTH; empty: no AUTH"),
	TEXT(mail, password_file, "", check_absolute, RELOADABLE, "A file with that user's password in its first line, which only the daemon may read"),
	TEXT(mail, from, "", check_mail_from, RELOADABLE,
	     "Whom mail is from: noreply@example.org, or Example <noreply@example.org>; without a name it is login.site_name"),
	TEXT(mail, site_url, "", mail_site_url_problem, RELOADABLE,
	     "What links in mails begin with: https://www.example.org"),
	TEXT(mail, per_recipient, "5/h", check_mail_rate, RELOADABLE,
	     "How many mails of a kind an address gets in a time (s, m, h or d); 0: any number; what is more is not sent"),
	RANGE(mail, per_domain, OPTION_NUMBER, "60", 0, 1000000, RELOADABLE, "How many mails a minute are sent to one domain, at even distances; 0: any number"),
	RANGE(mail, timeout, OPTION_DURATION, "2m", SECOND, 10 * MINUTE, RELOADABLE, "How long sending a mail may take, from connecting to the server's last answer"),

	TEXT(api, clients, "127.0.0.1 ::1", check_networks, RELOADABLE,
	     "Addresses of the site's own programs, with an optional /prefix, that may use the API; for others there is nothing there"),
	RANGE(api, rate, OPTION_NUMBER, "5000", 0, 1000000, RELOADABLE,
	      "How many calls a second are taken with one token on this host; what is more is answered with 429; 0: any number"),
	RANGE(api, webhook_interval, OPTION_DURATION, "5s", 0, HOUR, RELOADABLE,
	      "How often this host looks whether there is a webhook to send events to, while there is none; 0: it sends none"),

	TEXT(log, to, "stderr", check_log_target, RELOADABLE, "stderr, syslog, or a file's path"),
	CHOICE(log, level, "info", level_choices, RELOADABLE, "The least important lines that are written; debug: also each request"),
	CHOICE(log, format, "text", format_choices, RELOADABLE, "Lines as text or as JSON"),
	RANGE(log, slow_request, OPTION_DURATION, "1s", 0, HOUR, RELOADABLE,
	      "Requests that take longer are logged, with the time spent in each stage; 0: none"),
};
/* clang-format on */

const size_t options_count = sizeof options / sizeof options[0];

const struct option *options_find(const char *section, const char *key)
{
	for (size_t i = 0; i < options_count; i++) {
		if (strcmp(options[i].section, section) == 0 && strcmp(options[i].key, key) == 0)
			return &options[i];
	}
	return NULL;
}

bool options_has_section(const char *name)
{
	for (size_t i = 0; i < options_count; i++) {
		if (strcmp(options[i].section, name) == 0)
			return true;
	}
	return false;
}
