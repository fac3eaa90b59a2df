/* Reading the configuration, and showing it. */
#include "base/config.h"

#include "base/config_file.h"
#include "base/config_names.h"
#include "base/config_set.h"
#include "base/config_value.h"
#include "base/key_from.h"
#include "base/own_cookies.h"
#include "base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static char *trimmed(TALLOC_CTX *ctx, const char *text, size_t length)
{
	while (length > 0 && isspace((unsigned char)*text)) {
		text++;
		length--;
	}
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	return talloc_strndup(ctx, text, length);
}

/* Complaints begin with what is known of the override; its value is shown only when it is no secret. */
static const char *name_override(TALLOC_CTX *ctx, const char *override, const struct option *option)
{
	char shown[CONFIG_SHOWN_SIZE];
	size_t size = sizeof shown;
	size_t named = (size_t)(strchr(override, '=') - override) + 1;

	if ((option == NULL || (option->flags & OPTION_SECRET) != 0) && named < size)
		size = named;
	utf8_clean(override, shown, size);
	return talloc_asprintf(ctx, "-o %s", shown);
}

static bool is_for_module(const char *section)
{
	const char *own = config_names_section(section, NULL, 0);

	return config_section_can_be(section) && (own == NULL || strcmp(own, section) != 0);
}

static void apply_override(struct config_set *set, const char *override)
{
	const char *dot = strchr(override, '.');
	const char *equals = strchr(override, '=');
	const struct option *option;
	char *section, *key, *value;

	set->source = "-o";
	/* What it is is not known, so it is not shown: it may be a password. */
	if (dot == NULL || equals == NULL || dot > equals) {
		(void)fputs("is to be followed by SECTION.KEY=VALUE\n", config_complain(set));
		return;
	}
	section = trimmed(set->scratch, override, (size_t)(dot - override));
	key = trimmed(set->scratch, dot + 1, (size_t)(equals - dot - 1));
	value = trimmed(set->scratch, equals + 1, strlen(equals + 1));
	if (section == NULL || key == NULL || value == NULL) {
		config_complain_memory(set);
		return;
	}
	option = options_find(section, key);
	if (option == NULL && is_for_module(section)) {
		config_set_module_value(set, section, key, value, true);
		return;
	}
	set->source = name_override(set->scratch, override, option);
	if (set->source == NULL) {
		set->source = "-o";
		config_complain_memory(set);
	} else if (option == NULL) {
		config_complain_unknown(set, section, key);
	} else {
		set->set_at[option - options] = 0;
		config_set_value(set, option, value);
	}
}

/* A cookie of the daemon's own is no application's: it would be taken away, and the web server keeps it back. */
static void check_key_from(struct config_set *set)
{
	const struct settings *settings = set->settings;
	struct key_from key_from;

	(void)key_from_parse(settings->session.key_from, &key_from);
	if (key_from.kind != KEY_FROM_COOKIE || !own_cookies_have(settings->session.cookie_name, key_from.cookie))
		return;
	set->line = set->set_at[options_find("session", "key_from") - options];
	(void)fprintf(config_complain(set),
	              "session.key_from: %s is a cookie of the daemon's own%s: it has to be one of the application's\n",
	              key_from.cookie,
	              strcmp(key_from.cookie, COOKIE_NAME_FORMER) == 0
	                      ? ", by its former name, which is read as long as session.cookie_name is not set"
	                      : "");
	set->line = 0;
}

static void check_relations(struct config_set *set)
{
	const struct settings *settings = set->settings;

	if (settings->session.cookie_samesite == COOKIE_SAMESITE_NONE &&
	    settings->session.cookie_secure == COOKIE_SECURE_NEVER) {
		(void)fputs("session.cookie_samesite: none needs a secure cookie; session.cookie_secure must not be "
		            "never\n",
		            config_complain(set));
	}
	check_key_from(set);
	if (settings->server.guard_workers >= settings->server.workers)
		(void)fprintf(config_complain(set),
		              "server.guard_workers: %" PRId64 " is not less than server.workers, %" PRId64
		              ": one worker at least has to be left for modules\n",
		              settings->server.guard_workers, settings->server.workers);
}

/* Who signs up, and who accepts an invitation, chooses a password. */
static void check_login(struct config_set *set)
{
	const struct settings *settings = set->settings;

	if (!settings->login.enabled && settings->accounts.signup != SIGNUP_CLOSED)
		(void)fputs("accounts.signup: must be closed where login.enabled is off: nobody could choose a "
		            "password\n",
		            config_complain(set));
}

static void check_mail(struct config_set *set)
{
	const struct settings *settings = set->settings;

	if (settings->mail.server[0] == '\0')
		return;
	if (settings->mail.from[0] == '\0')
		(void)fputs("mail.from: is missing, with mail.server: an address such as noreply@example.org\n",
		            config_complain(set));
	if (settings->mail.site_url[0] == '\0')
		(void)fputs("mail.site_url: is missing, with mail.server: what links in mails begin with, such as "
		            "https://www.example.org\n",
		            config_complain(set));
	if ((settings->mail.user[0] == '\0') != (settings->mail.password_file[0] == '\0'))
		(void)fputs("mail.user and mail.password_file: one of them is missing\n", config_complain(set));
}

/* Then no section is one of a module; otherwise that is known when they have been loaded. */
static bool settings_have_no_modules(const struct settings *settings)
{
	return settings->server.modules == NULL || settings->server.modules[0] == '\0';
}

static int load(struct config_set *set, const struct config_source *source)
{
	const char *path = source->path != NULL ? source->path : CONFIG_DEFAULT_PATH;
	FILE *file;

	set->source = "default";
	for (size_t i = 0; i < options_count; i++)
		config_set_value(set, &options[i], options[i].fallback);
	set->source = path;
	file = fopen(path, "re");
	if (file != NULL) {
		config_file_read(set, file);
		(void)fclose(file);
	} else if (source->path != NULL || errno != ENOENT) {
		(void)fprintf(config_complain(set), "%s\n", strerror(errno));
	}
	for (size_t i = 0; i < source->override_count; i++)
		apply_override(set, source->overrides[i]);
	set->source = path;
	if (settings_have_no_modules(set->settings) &&
	    config_sections_check(set->settings->sections, NULL, 0, set->complaints) != 0)
		set->failed = true;
	if (!set->failed)
		check_relations(set);
	if (!set->failed)
		check_login(set);
	if (!set->failed)
		check_mail(set);
	return set->failed ? -1 : 0;
}

int config_load(TALLOC_CTX *ctx, const struct config_source *source, struct settings *settings, FILE *complaints)
{
	struct config_set set = {.ctx = ctx, .settings = settings, .complaints = complaints};
	int result;

	memset(settings, 0, sizeof *settings);
	set.scratch = talloc_new(ctx);
	set.set_at = talloc_zero_array(set.scratch, int, (unsigned)options_count);
	settings->sections = talloc_zero(ctx, struct config_sections);
	if (set.scratch == NULL || set.set_at == NULL || settings->sections == NULL) {
		(void)fputs("out of memory\n", complaints);
		return -1;
	}
	result = load(&set, source);
	talloc_free(set.scratch);
	return result;
}

static void print_section(FILE *out, size_t i)
{
	if (i == 0 || strcmp(options[i].section, options[i - 1].section) != 0)
		(void)fprintf(out, "%s[%s]\n", i == 0 ? "" : "\n", options[i].section);
}

void config_dump(const struct settings *settings, FILE *out)
{
	for (size_t i = 0; i < options_count; i++) {
		print_section(out, i);
		(void)fprintf(out, "%s = ", options[i].key);
		config_value_print(out, settings, &options[i]);
		(void)fputc('\n', out);
	}
	config_sections_print(settings->sections, out);
}

void config_sample(FILE *out)
{
	(void)fputs("# Configuration of onesession. Every key is optional; what is shown is its default.\n"
	            "# A value may go on in the next line, if that begins with a space. White space and a semicolon\n"
	            "# begin a comment. onesessiond -t checks this file.\n\n",
	            out);
	for (size_t i = 0; i < options_count; i++) {
		print_section(out, i);
		(void)fprintf(out, "# %s%s.\n", options[i].help,
		              (options[i].flags & OPTION_RELOADABLE) != 0 ? "" : " (read at start only)");
		if (options[i].type != OPTION_STRING) {
			(void)fputs("# It is ", out);
			config_value_print_expected(out, &options[i]);
			(void)fputs(".\n", out);
		}
		(void)fprintf(out, "#%s = %s\n", options[i].key, options[i].fallback);
	}
}

int config_keep_fixed(TALLOC_CTX *ctx, struct settings *next, const struct settings *current,
                      void (*tell)(const char *section, const char *key))
{
	for (size_t i = 0; i < options_count; i++) {
		const struct option *option = &options[i];
		bool is_same;

		if ((option->flags & OPTION_RELOADABLE) != 0)
			continue;
		if (option->type == OPTION_STRING) {
			const char *kept = talloc_strdup(ctx, config_value_string(current, option));

			if (kept == NULL)
				return -1;
			is_same = strcmp(config_value_string(next, option), kept) == 0;
			config_value_set_string(next, option, kept);
		} else {
			is_same = config_value_number(next, option) == config_value_number(current, option);
			config_value_set_number(next, option, config_value_number(current, option));
		}
		if (!is_same)
			tell(option->section, option->key);
	}
	return 0;
}

void config_warnings(const struct settings *settings, void (*tell)(const char *doubt))
{
	if (settings->session.on_limit == ON_LIMIT_REFUSE && settings->session.idle_timeout == 0)
		tell("session.on_limit = refuse without session.idle_timeout: an account whose browser is lost cannot "
		     "sign "
		     "in for as long as session.lifetime");
	if (settings->session.purge_interval == 0)
		tell("session.purge_interval = 0: accounts that their people have deleted stay until onesessionctl "
		     "purge "
		     "is run");
	if (settings->accounts.signup != SIGNUP_CLOSED && settings->mail.server[0] == '\0')
		tell("accounts.signup lets people in by mail, and mail.server is not set: nobody can sign up or be "
		     "invited");
	if (!settings->login.enabled && settings->access.login_url[0] == '\0')
		tell("login.enabled = off without access.login_url: people who are not signed in are told so, and led "
		     "nowhere");
	if (settings->login.enabled && settings->access.login_url[0] != '\0')
		tell("access.login_url has no effect: login.enabled is on, and people sign in with the daemon's own "
		     "page");
}
