/* The one table of onesessionctl's commands and options, and how to look something up in it. */
#include "ctl/commands.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* As many rows go through memory at once. */
#define ROWS_MAX 100000

#define OPTION(id) (UINT64_C(1) << COMMAND_OPTION_##id)
#define ARGUMENT(text, kind, field)                                                                                    \
	{                                                                                                              \
		text, kind, offsetof(struct ctl, field), 0                                                             \
	}
#define FLAG(field) ARGUMENT(NULL, VALUE_FLAG, field)
#define NUMBER(field, max)                                                                                             \
	{                                                                                                              \
		"N", VALUE_NUMBER, offsetof(struct ctl, field), max                                                    \
	}
#define NOTHING                                                                                                        \
	{                                                                                                              \
		NULL, VALUE_NONE, 0, 0                                                                                 \
	}
#define OPERAND(text, kind)                                                                                            \
	{                                                                                                              \
		ARGUMENT(text, kind, operand)                                                                          \
	}
#define OPERANDS(text, kind, text2, kind2)                                                                             \
	{                                                                                                              \
		ARGUMENT(text, kind, operand), ARGUMENT(text2, kind2, value)                                           \
	}

/* clang-format off */
const struct command_option command_options[COMMAND_OPTION_COUNT] = {
	[COMMAND_OPTION_CONFIG] = {'c', "config", ARGUMENT("FILE", VALUE_FILE, source.path),
		"the configuration (default: " CONFIG_DEFAULT_PATH ")"},
	[COMMAND_OPTION_OVERRIDE] = {'o', NULL, ARGUMENT("SECTION.KEY=VALUE", VALUE_OVERRIDES, source),
		"override a key of it"},
	[COMMAND_OPTION_JSON] = {'\0', "json", FLAG(json), "answer in JSON"},
	[COMMAND_OPTION_VERSION] = {'V', "version", NOTHING, "print the version"},
	[COMMAND_OPTION_HELP] = {'h', "help", NOTHING, "print this"},
	[COMMAND_OPTION_GRANT] = {'\0', "grant", ARGUMENT("ROLE", VALUE_TEXT, role),
		"the role that the daemon connects as"},
	[COMMAND_OPTION_MODULE] = {'\0', "module", ARGUMENT("NAME", VALUE_TEXT, module),
		"the tables of this module only"},
	[COMMAND_OPTION_FOLDER] = {'\0', "folder", ARGUMENT("FOLDER", VALUE_FILE, folder),
		"where the module's migrations are (default: NAME/migrations beside NAME.so)"},
	[COMMAND_OPTION_ADMIN] = {'\0', "admin", FLAG(is_admin),
		"an administrator's account; the application learns of it"},
	[COMMAND_OPTION_ADMIN_YES_NO] = {'\0', "admin", ARGUMENT("yes|no", VALUE_YES_NO, admin),
		"whether it is an administrator's account; the application learns of it"},
	[COMMAND_OPTION_LIMIT] = {'\0', "limit", NUMBER(limit, INT32_MAX),
		"how many live sessions it may have; 0: any number (default: session.max_sessions)"},
	[COMMAND_OPTION_EMAIL] = {'\0', "email", ARGUMENT("ADDRESS", VALUE_TEXT, email),
		"its e-mail address, taken as verified: people sign in by it, too"},
	[COMMAND_OPTION_PLAN] = {'\0', "plan", ARGUMENT("PLAN", VALUE_TEXT, plan),
		"what it is subscribed to; '': nothing"},
	[COMMAND_OPTION_GROUPS] = {'\0', "groups", ARGUMENT("A,B", VALUE_TEXT, groups),
		"the groups that it is in, separated by commas; '': none"},
	[COMMAND_OPTION_VALID_UNTIL] = {'\0', "valid-until", ARGUMENT("TIME", VALUE_TEXT, valid_until),
		"when its plan ends: 2027-01-31, or 2027-01-31T10:32:05Z; '': not until it is taken away"},
	[COMMAND_OPTION_SCOPE] = {'\0', "scope", ARGUMENT("S,S", VALUE_TEXT, scope),
		"what it is for: users, credentials, sessions, events, separated by commas"},
	[COMMAND_OPTION_EXPIRES] = {'\0', "expires", ARGUMENT("TIME", VALUE_TEXT, expires),
		"how long it is good: 90d (default: until it is revoked)"},
	[COMMAND_OPTION_EVENTS] = {'\0', "events", ARGUMENT("E", VALUE_TEXT, events),
		"the names of the events that it gets, separated by spaces or commas (default: all)"},
	[COMMAND_OPTION_INVITE] = {'\0', "invite", FLAG(invites),
		"no password is asked for: a mail to that address lets its person choose one"},
	[COMMAND_OPTION_DOMAIN] = {'\0', "domain", ARGUMENT("DOMAIN", VALUE_TEXT, domain),
		"of addresses in this domain only"},
	[COMMAND_OPTION_USER] = {'\0', "user", ARGUMENT("NAME", VALUE_NAME, user), "of this account only"},
	[COMMAND_OPTION_ALL] = {'\0', "all", NOTHING, "of all accounts"},
	[COMMAND_OPTION_ALL_WEBHOOKS] = {'\0', "all", NOTHING, "of all webhooks, as without ID"},
	[COMMAND_OPTION_DEAD] = {'\0', "dead", NOTHING, "all that were given up"},
	[COMMAND_OPTION_STATE] = {'\0', "state", ARGUMENT("STATE", VALUE_TEXT, state),
		"those that are queued, sent, limited or dead"},
	[COMMAND_OPTION_FROM] = {'\0', "from", ARGUMENT("CONNINFO", VALUE_TEXT, from),
		"the other database: a connection string or URI of libpq"},
	[COMMAND_OPTION_MAP] = {'\0', "map", ARGUMENT("THEIRS=OURS", VALUE_TEXT, map),
		"columns that are called otherwise: user_login=username,user_pass=password_hash"},
	[COMMAND_OPTION_IGNORE] = {'\0', "ignore", ARGUMENT("COLUMN", VALUE_TEXT, ignore),
		"columns that are not wanted, separated by commas"},
	[COMMAND_OPTION_DIALECT] = {'\0', "dialect", ARGUMENT("mysql", VALUE_TEXT, dialect),
		"as MySQL and MariaDB write such files: with backslashes, \\N for nothing, tabs"},
	[COMMAND_OPTION_PREFIX] = {'\0', "prefix", ARGUMENT("TEXT", VALUE_TEXT, prefix), "only what begins with this"},
	[COMMAND_OPTION_SESSIONS] = {'\0', "sessions", ARGUMENT("N", VALUE_LIMIT, sessions),
		"how many live sessions its accounts may have; 0: any number; or default"},
	[COMMAND_OPTION_FIRST] = {'\0', "first", NUMBER(first, ROWS_MAX), "no more than these"},
	[COMMAND_OPTION_ERASE] = {'\0', "erase", FLAG(erases),
		"with all that is kept about its person, also in events and mails"},
	[COMMAND_OPTION_LAST] = {'\0', "last", NUMBER(last, ROWS_MAX),
		"the latest or most of them, and no more than these"},
	[COMMAND_OPTION_FOLLOW] = {'\0', "follow", FLAG(follows), "go on until interrupted"},
	[COMMAND_OPTION_YES] = {'\0', "yes", FLAG(agrees), "without asking"},
};

const struct command commands[] = {
	{.words = {"migrate"}, .options = OPTION(GRANT) | OPTION(MODULE) | OPTION(FOLDER), .database = DATABASE_MIGRATING, .run = command_migrate,
	 .help = "bring the tables of the daemon and of its modules up to date; give ROLE the daemon's rights"},

	{.words = {"user", "add"}, .operands = OPERAND("NAME", VALUE_NEW_NAME), .options = OPTION(ADMIN) | OPTION(LIMIT) | OPTION(EMAIL) | OPTION(INVITE),
	 .run = command_user_add, .help = "add an account; its password is asked for, or a line of standard input"},
	{.words = {"user", "list"}, .options = OPTION(PREFIX) | OPTION(FIRST), .run = command_user_list,
	 .help = "list the accounts, by name"},
	{.words = {"user", "show"}, .operands = OPERAND("NAME", VALUE_NAME), .run = command_user_show,
	 .help = "show an account"},
	{.words = {"user", "passwd"}, .operands = OPERAND("NAME", VALUE_NAME), .run = command_user_passwd,
	 .help = "set another password, and forget failed logins; ends the account's sessions"},
	{.words = {"user", "enable"}, .operands = OPERAND("NAME", VALUE_NAME), .run = command_user_enable,
	 .help = "let the account sign in again, and forget its failed logins"},
	{.words = {"user", "disable"}, .operands = OPERAND("NAME", VALUE_NAME), .run = command_user_disable,
	 .help = "keep the account from signing in; ends its sessions"},
	{.words = {"user", "unlock"}, .operands = OPERAND("NAME", VALUE_NAME), .run = command_user_unlock,
	 .help = "forget the account's failed logins: it may be tried again at once"},
	{.words = {"user", "rename"}, .operands = OPERANDS("NAME", VALUE_NAME, "NEW", VALUE_NEW_NAME),
	 .run = command_user_rename, .help = "give the account another name; its sessions go on"},
	{.words = {"user", "set"}, .operands = OPERAND("NAME", VALUE_NAME), .options = OPTION(ADMIN_YES_NO) | OPTION(EMAIL) | OPTION(PLAN) | OPTION(GROUPS) | OPTION(VALID_UNTIL),
	 .needs = NEEDS_OPTION, .run = command_user_set,
	 .help = "change its plan, groups, end, address, or whether it is an administrator's"},
	{.words = {"user", "invite"}, .operands = OPERAND("NAME", VALUE_NAME), .run = command_user_invite,
	 .help = "mail another invitation to an account that has no password yet"},
	{.words = {"user", "verify"}, .operands = OPERAND("NAME", VALUE_NAME),
	 .options = OPTION(DOMAIN) | OPTION(ALL) | OPTION(YES), .needs = NEEDS_ONE, .run = command_user_verify,
	 .help = "take e-mail addresses as verified: an account's, a domain's, or all; asks first"},
	{.words = {"user", "delete"}, .operands = OPERAND("NAME", VALUE_NAME), .options = OPTION(ERASE),
	 .run = command_user_delete, .help = "delete the account and its sessions, without asking"},
	{.words = {"user", "limit"}, .operands = OPERANDS("NAME", VALUE_NAME, "N|default", VALUE_LIMIT),
	 .run = command_user_limit, .help = "how many live sessions the account may have; 0: any number"},
	{.words = {"user", "exempt"}, .operands = OPERAND("NAME", VALUE_NAME), .run = command_user_exempt,
	 .help = "let the account have any number of live sessions"},

	{.words = {"plan", "set"}, .operands = OPERAND("NAME", VALUE_TEXT), .options = OPTION(SESSIONS),
	 .run = command_plan_set, .help = "add a plan that accounts can have, or change it"},
	{.words = {"plan", "list"}, .run = command_plan_list, .help = "list the plans, and how many accounts have each"},
	{.words = {"plan", "delete"}, .operands = OPERAND("NAME", VALUE_TEXT), .run = command_plan_delete,
	 .help = "delete a plan that no account has"},

	{.words = {"session", "list"}, .options = OPTION(USER) | OPTION(LAST), .run = command_session_list,
	 .help = "list the live sessions, the newest login first"},
	{.words = {"session", "history"}, .operands = OPERAND("NAME", VALUE_NAME), .options = OPTION(LAST),
	 .run = command_session_history,
	 .help = "show the sessions of an account that have ended: when, why, and by what"},
	{.words = {"session", "end"}, .operands = OPERAND("ID", VALUE_TEXT), .options = OPTION(USER) | OPTION(ALL),
	 .needs = NEEDS_ONE, .run = command_session_end,
	 .help = "end a session, an account's sessions, or all of them"},

	{.words = {"mail", "list"}, .options = OPTION(USER) | OPTION(STATE) | OPTION(LAST), .run = command_mail_list,
	 .help = "list the mails that wait, were sent or given up, the newest first"},
	{.words = {"mail", "show"}, .operands = OPERAND("ID", VALUE_TEXT), .run = command_mail_show,
	 .help = "show a mail: to whom it is, what it is filled in with, and what was wrong"},
	{.words = {"mail", "retry"}, .operands = OPERAND("ID", VALUE_TEXT), .options = OPTION(DEAD), .needs = NEEDS_ONE,
	 .run = command_mail_retry, .help = "send a mail at once that waits or was given up, or all that were given up"},
	{.words = {"mail", "drop"}, .operands = OPERAND("ID", VALUE_TEXT), .run = command_mail_drop,
	 .help = "delete a mail; it is not sent then"},
	{.words = {"mail", "test"}, .operands = OPERAND("ADDRESS", VALUE_TEXT), .database = DATABASE_OPTIONAL,
	 .run = command_mail_test, .help = "send a mail to ADDRESS at once, and show what the mail server says"},

	{.words = {"token", "add"}, .operands = OPERAND("NAME", VALUE_TEXT), .options = OPTION(SCOPE) | OPTION(EXPIRES),
	 .needs = NEEDS_FIRST, .run = command_token_add,
	 .help = "make a token for a program of the site's that uses the API, and print it, this once"},
	{.words = {"token", "list"}, .run = command_token_list, .help = "list the tokens of the API, and when they were last used"},
	{.words = {"token", "revoke"}, .operands = OPERAND("NAME", VALUE_TEXT), .run = command_token_revoke,
	 .help = "have a token let nobody in any more, at once and for good"},

	{.words = {"webhook", "add"}, .operands = OPERAND("URL", VALUE_TEXT), .options = OPTION(EVENTS),
	 .run = command_webhook_add,
	 .help = "have events sent to URL from now on, and print the secret that they are signed with, this once"},
	{.words = {"webhook", "list"}, .run = command_webhook_list,
	 .help = "list the webhooks: what waits, what was given up, and what was wrong"},
	{.words = {"webhook", "test"}, .operands = OPERAND("ID", VALUE_TEXT), .run = command_webhook_test,
	 .help = "send an event of a test to a webhook at once, and show the answer"},
	{.words = {"webhook", "retry"}, .operands = OPERAND("ID", VALUE_TEXT), .options = OPTION(ALL_WEBHOOKS),
	 .needs = NEEDS_ONE_OR_NONE, .run = command_webhook_retry,
	 .help = "send events again that were given up, of a webhook or of all; use it again if it was gone"},
	{.words = {"webhook", "remove"}, .operands = OPERAND("ID", VALUE_TEXT), .run = command_webhook_remove,
	 .help = "send nothing to a webhook any more, and forget what waits for it"},

	{.words = {"import", "csv"}, .operands = OPERAND("FILE", VALUE_FILE), .options = OPTION(MAP) | OPTION(IGNORE) | OPTION(DIALECT),
	 .run = command_import_csv, .help = "add the accounts of a file of comma-separated values, - for standard input"},
	{.words = {"import", "django"}, .options = OPTION(FROM), .needs = NEEDS_OPTION, .run = command_import_django,
	 .help = "add the accounts of a Django application's database, with their passwords"},
	{.words = {"import", "htpasswd"}, .operands = OPERAND("FILE", VALUE_FILE), .run = command_import_htpasswd,
	 .help = "add the accounts of a file of htpasswd's, - for standard input"},

	{.words = {"events"}, .options = OPTION(USER) | OPTION(LAST) | OPTION(FOLLOW), .run = command_events,
	 .help = "show what has happened; with --follow also what happens from now on"},
	{.words = {"sharing"}, .options = OPTION(LAST), .run = command_sharing,
	 .help = "show the accounts that were taken over by other devices most often"},
	{.words = {"purge"}, .run = command_purge, .help = "remove what has expired or is past session.history"},
	/* It asks the daemon itself, also when the database is away, and what the database adds to that is not waited for. */
	{.words = {"status"}, .database = DATABASE_OPTIONAL, .run = command_status,
	 .help = "show what the daemon's workers are doing"},
};
/* clang-format on */

const size_t command_count = sizeof commands / sizeof commands[0];

const struct command *command_find(const char *const words[], size_t word_count, size_t *used)
{
	for (size_t i = 0; i < command_count; i++) {
		const char *const *named = commands[i].words;

		*used = named[1] != NULL ? 2 : 1;
		if (word_count >= *used && strcmp(named[0], words[0]) == 0 &&
		    (named[1] == NULL || strcmp(named[1], words[1]) == 0))
			return &commands[i];
	}
	return NULL;
}

bool command_is_group(const char *word)
{
	for (size_t i = 0; i < command_count; i++) {
		if (commands[i].words[1] != NULL && strcmp(commands[i].words[0], word) == 0)
			return true;
	}
	return false;
}

bool command_option_is_aside(enum command_option_id id)
{
	return id == COMMAND_OPTION_YES;
}

bool command_takes(const struct command *command, enum command_option_id id)
{
	return id < COMMAND_OPTIONS_COMMON || (command->options & UINT64_C(1) << id) != 0;
}

size_t command_operand_count(const struct command *command)
{
	size_t count = 0;

	while (count < COMMAND_OPERANDS_MAX && command->operands[count].name != NULL)
		count++;
	return count;
}

__attribute__((format(printf, 2, 3))) static void append(char text[COMMAND_SYNOPSIS_SIZE], const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text + length, COMMAND_SYNOPSIS_SIZE - length, format, arguments);
	va_end(arguments);
}

const char *command_synopsis(const struct command *command, char text[COMMAND_SYNOPSIS_SIZE])
{
	size_t operands = command_operand_count(command);
	bool may_have_none = command->needs == NEEDS_ONE_OR_NONE;
	bool has_alternatives = command->needs == NEEDS_ONE || may_have_none;
	uint64_t first = command->options & -command->options;

	text[0] = '\0';
	append(text, "%s%s%s", command->words[0], command->words[1] != NULL ? " " : "",
	       command->words[1] != NULL ? command->words[1] : "");
	for (size_t i = 0; i < operands; i++)
		append(text, " %s%s", may_have_none ? "[" : "", command->operands[i].name);
	for (int id = COMMAND_OPTIONS_COMMON; id < COMMAND_OPTION_COUNT; id++) {
		const struct command_option *option = &command_options[id];
		const char *argument = option->argument.name;
		bool is_optional = command->needs == NEEDS_OPERANDS ||
		                   (command->needs == NEEDS_OPTION && command->options != first) ||
		                   (command->needs == NEEDS_FIRST && UINT64_C(1) << id != first);

		if (!command_takes(command, (enum command_option_id)id))
			continue;
		if (command_option_is_aside((enum command_option_id)id))
			append(text, " [--%s]", option->name);
		else
			append(text, "%s%s--%s%s%s%s", has_alternatives ? " | " : " ", is_optional ? "[" : "",
			       option->name, argument != NULL ? " " : "", argument != NULL ? argument : "",
			       is_optional ? "]" : "");
	}
	if (may_have_none)
		append(text, "]");
	return text;
}
