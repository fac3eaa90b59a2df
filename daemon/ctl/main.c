/* onesessionctl: accounts, sessions and the schema, for operators. */
#include "base/config.h"
#include "base/log.h"
#include "base/units.h"
#include "base/version.h"
#include "ctl/ctl.h"
#include "ctl/text.h"
#include "session/rule.h"
#include "session/schema.h"
#include "session/users.h"

#include <ctype.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* An operator can wait longer than a request, and has Ctrl-C. */
#define STATEMENT_TIMEOUT_MS INT64_C(60000)
/* A migration may have to wait for a lock, and to build an index of a large table. */
#define MIGRATE_TIMEOUT_MS INT64_C(86400000)

#define WORDS_MAX 4

/* As many rows go through memory at once. */
#define LAST_MAX 100000

enum option_bit {
	TAKES_GRANT = 1,
	TAKES_ADMIN = 2,
	TAKES_LIMIT = 4,
	TAKES_USER = 8,
	TAKES_ALL = 16,
	TAKES_FROM = 32,
	TAKES_LAST = 64,
	TAKES_FOLLOW = 128,
	TAKES_PREFIX = 256,
	TAKES_FIRST = 512,
	TAKES_ERASE = 1024,
};

/* Of the operand and the options. */
enum need {
	NOTHING, /* more than the operand that it has */
	ONE,     /* exactly one of them all */
	OPTION,  /* at least one option */
};

struct command {
	const char *words[2]; /* the second is NULL when there is only one */
	const char *operand;  /* what it needs: "NAME", or NULL */
	bool takes_value;     /* and something behind that */
	unsigned options;     /* that it takes, of enum option_bit */
	enum need needs;
	int (*run)(struct ctl *ctl);
	const char *synopsis;
	const char *help;
};

static const struct command commands[] = {
	{{"migrate", NULL},
         NULL,
         false,
         TAKES_GRANT,
         NOTHING,
         command_migrate,
         "migrate [--grant ROLE]",
         "bring the database's schema up to date; give ROLE the daemon's rights"},
	{{"user", "add"},
         "NAME",
         false,
         TAKES_ADMIN | TAKES_LIMIT,
         NOTHING,
         command_user_add,
         "user add NAME [--admin] [--limit N]",
         "add an account; its password is asked for, or a line of standard input"},
	{{"user", "list"},
         NULL,
         false,
         TAKES_PREFIX | TAKES_FIRST,
         NOTHING,
         command_user_list,
         "user list [--prefix TEXT] [--first N]",
         "list the accounts, by name"},
	{{"user", "show"}, "NAME", false, 0, NOTHING, command_user_show, "user show NAME", "show an account"},
	{{"user", "passwd"},
         "NAME",
         false,
         0,
         NOTHING,
         command_user_passwd,
         "user passwd NAME",
         "set another password, and forget failed logins; ends the account's sessions"},
	{{"user", "enable"},
         "NAME",
         false,
         0,
         NOTHING,
         command_user_enable,
         "user enable NAME",
         "let the account sign in again, and forget its failed logins"},
	{{"user", "disable"},
         "NAME",
         false,
         0,
         NOTHING,
         command_user_disable,
         "user disable NAME",
         "keep the account from signing in; ends its sessions"},
	{{"user", "unlock"},
         "NAME",
         false,
         0,
         NOTHING,
         command_user_unlock,
         "user unlock NAME",
         "forget the account's failed logins: it may be tried again at once"},
	{{"user", "rename"},
         "NAME",
         true,
         0,
         NOTHING,
         command_user_rename,
         "user rename NAME NEW",
         "give the account another name; its sessions go on"},
	{{"user", "set"},
         "NAME",
         false,
         TAKES_ADMIN,
         OPTION,
         command_user_set,
         "user set NAME --admin yes|no",
         "make it an administrator's account, or no more"},
	{{"user", "delete"},
         "NAME",
         false,
         TAKES_ERASE,
         NOTHING,
         command_user_delete,
         "user delete NAME [--erase]",
         "delete the account and its sessions, without asking"},
	{{"user", "limit"},
         "NAME",
         true,
         0,
         NOTHING,
         command_user_limit,
         "user limit NAME N|default",
         "how many live sessions the account may have; 0: any number"},
	{{"user", "exempt"},
         "NAME",
         false,
         0,
         NOTHING,
         command_user_exempt,
         "user exempt NAME",
         "let the account have any number of live sessions"},
	{{"session", "list"},
         NULL,
         false,
         TAKES_USER | TAKES_LAST,
         NOTHING,
         command_session_list,
         "session list [--user NAME] [--last N]",
         "list the live sessions, the newest login first"},
	{{"session", "history"},
         "NAME",
         false,
         TAKES_LAST,
         NOTHING,
         command_session_history,
         "session history NAME [--last N]",
         "show the sessions of an account that have ended: when, why, and by what"},
	{{"session", "end"},
         "ID",
         false,
         TAKES_USER | TAKES_ALL,
         ONE,
         command_session_end,
         "session end ID | --user NAME | --all",
         "end a session, an account's sessions, or all of them"},
	{{"import", "django"},
         NULL,
         false,
         TAKES_FROM,
         ONE,
         command_import_django,
         "import django --from CONNINFO",
         "add the accounts of a Django application's database, with their passwords"},
	{{"import", "htpasswd"},
         "FILE",
         false,
         0,
         NOTHING,
         command_import_htpasswd,
         "import htpasswd FILE",
         "add the accounts of a file of htpasswd's, - for standard input"},
	{{"events", NULL},
         NULL,
         false,
         TAKES_USER | TAKES_FOLLOW | TAKES_LAST,
         NOTHING,
         command_events,
         "events [--user NAME] [--last N] [--follow]",
         "show what has happened; with --follow also what happens from now on"},
	{{"sharing", NULL},
         NULL,
         false,
         TAKES_LAST,
         NOTHING,
         command_sharing,
         "sharing [--last N]",
         "show the accounts that were taken over by other devices most often"},
	{{"purge", NULL},
         NULL,
         false,
         0,
         NOTHING,
         command_purge,
         "purge",
         "remove what has expired or is past session.history"},
	{{"status", NULL},
         NULL,
         false,
         0,
         NOTHING,
         command_status,
         "status",
         "show what the daemon's workers are doing"},
};

static const size_t command_count = sizeof commands / sizeof commands[0];

/* The command line, taken apart. */
struct arguments {
	struct config_source source;
	const char **overrides; /* source.overrides, while it grows */
	const char *words[WORDS_MAX];
	size_t word_count;
	unsigned given; /* of enum option_bit */
	bool help;
	bool version;
};

static int usage_error(const char *what, const char *which)
{
	(void)fail("%s%s%s (see onesessionctl --help)", what, which != NULL ? ": " : "", which != NULL ? which : "");
	return EX_USAGE;
}

/* What the options of commands are for. */
static const struct {
	enum option_bit bit;
	const char *synopsis;
	const char *help;
} option_helps[] = {
	{TAKES_GRANT, "--grant ROLE", "the role that the daemon connects as"},
	{TAKES_ADMIN, "--admin", "an administrator's account, which is told to the application"},
	{TAKES_LIMIT, "--limit N", "how many live sessions it may have; 0: any number (default: session.max_sessions)"},
	{TAKES_USER, "--user NAME", "of this account only"},
	{TAKES_ALL, "--all", "of everybody"},
	{TAKES_FROM, "--from CONNINFO", "the other database: a connection string or URI of libpq"},
	{TAKES_PREFIX, "--prefix TEXT", "only what begins with this"},
	{TAKES_FIRST, "--first N", "no more than these"},
	{TAKES_ERASE, "--erase", "take its name, addresses and browsers out of the events"},
	{TAKES_LAST, "--last N", "the latest or most of them, and no more than these"},
	{TAKES_FOLLOW, "--follow", "go on until interrupted"},
};

static void print_common_options(void)
{
	(void)printf("  -c, --config FILE        the configuration (default: " CONFIG_DEFAULT_PATH ")\n"
	             "  -o SECTION.KEY=VALUE     override a key of it\n"
	             "      --json               answer in JSON\n"
	             "  -V, --version            print the version\n"
	             "  -h, --help               print this\n\n"
	             "Exit status: 0; 1 failure; 64 wrong usage; 78 wrong configuration.\n");
}

static void print_commands(const char *group)
{
	for (size_t i = 0; i < command_count; i++) {
		if (group == NULL || strcmp(commands[i].words[0], group) == 0)
			(void)printf("  %-42s  %s\n", commands[i].synopsis, commands[i].help);
	}
}

static void print_help(void)
{
	(void)printf("Usage: onesessionctl [OPTION]... COMMAND\n\n");
	print_commands(NULL);
	(void)putchar('\n');
	print_common_options();
}

static void print_command_help(const struct command *command)
{
	(void)printf("Usage: onesessionctl [OPTION]... %s\n\n%c%s.\n\n", command->synopsis,
	             toupper((unsigned char)command->help[0]), command->help + 1);
	for (size_t i = 0; i < sizeof option_helps / sizeof option_helps[0]; i++) {
		if ((command->options & option_helps[i].bit) != 0)
			(void)printf("      %-19s  %s\n", option_helps[i].synopsis, option_helps[i].help);
	}
	print_common_options();
}

/* `user --help`: of the commands that begin so. */
static int print_group_help(const char *group)
{
	for (size_t i = 0; i < command_count; i++) {
		if (strcmp(commands[i].words[0], group) != 0)
			continue;
		(void)printf("Usage: onesessionctl [OPTION]... %s COMMAND\n\n", group);
		print_commands(group);
		(void)putchar('\n');
		print_common_options();
		return EXIT_SUCCESS;
	}
	return usage_error("unknown command", group);
}

/* Options without a letter. */
enum {
	OPTION_JSON = 256,
	OPTION_GRANT,
	OPTION_ADMIN,
	OPTION_LIMIT,
	OPTION_USER,
	OPTION_ALL,
	OPTION_FROM,
	OPTION_LAST,
	OPTION_FOLLOW,
	OPTION_PREFIX,
	OPTION_FIRST,
	OPTION_ERASE,
};

/* What getopt_long(3) stumbled over, as it was written. */
static int option_error(const char *what, char *const argv[])
{
	const char letter[] = {'-', (char)optopt, '\0'};

	return usage_error(what, optopt > 0 && optopt < OPTION_JSON ? letter : argv[optind - 1]);
}

static bool is_command(const struct arguments *arguments, const char *first, const char *second)
{
	return arguments->word_count >= 2 && strcmp(arguments->words[0], first) == 0 &&
	       strcmp(arguments->words[1], second) == 0;
}

/* Where an account is made it is a flag; where one is changed it takes a word. */
static int take_admin(struct ctl *ctl, struct arguments *arguments, char *const argv[])
{
	const char *wanted = "yes";

	arguments->given |= TAKES_ADMIN;
	if (is_command(arguments, "user", "set")) {
		wanted = argv[optind];
		if (wanted == NULL || (strcmp(wanted, "yes") != 0 && strcmp(wanted, "no") != 0))
			return usage_error("--admin takes yes or no, but not", wanted != NULL ? wanted : "nothing");
		optind++;
	}
	ctl->is_admin = strcmp(wanted, "yes") == 0;
	return EXIT_SUCCESS;
}

static int take_option(struct ctl *ctl, struct arguments *arguments, int option, char *const argv[])
{
	switch (option) {
	case 'c': arguments->source.path = optarg; return EXIT_SUCCESS;
	case 'o': arguments->overrides[arguments->source.override_count++] = optarg; return EXIT_SUCCESS;
	case 'h': arguments->help = true; return EXIT_SUCCESS;
	case 'V': arguments->version = true; return EXIT_SUCCESS;
	case OPTION_JSON: ctl->json = true; return EXIT_SUCCESS;
	case OPTION_GRANT:
		arguments->given |= TAKES_GRANT;
		ctl->role = optarg;
		return EXIT_SUCCESS;
	case OPTION_ADMIN: return take_admin(ctl, arguments, argv);
	case OPTION_ERASE:
		arguments->given |= TAKES_ERASE;
		ctl->erases = true;
		return EXIT_SUCCESS;
	case OPTION_LIMIT:
		arguments->given |= TAKES_LIMIT;
		if (units_parse_number(optarg, &ctl->limit) == 0 && ctl->limit <= INT32_MAX)
			return EXIT_SUCCESS;
		return usage_error("--limit takes a number, 0 for no limit, but not", optarg);
	case OPTION_USER:
		arguments->given |= TAKES_USER;
		ctl->user = optarg;
		return EXIT_SUCCESS;
	case OPTION_ALL: arguments->given |= TAKES_ALL; return EXIT_SUCCESS;
	case OPTION_FROM:
		arguments->given |= TAKES_FROM;
		ctl->from = optarg;
		return EXIT_SUCCESS;
	case OPTION_LAST:
		arguments->given |= TAKES_LAST;
		if (units_parse_number(optarg, &ctl->last) == 0 && ctl->last <= LAST_MAX)
			return EXIT_SUCCESS;
		return usage_error("--last takes a number up to 100000, but not", optarg);
	case OPTION_FIRST:
		arguments->given |= TAKES_FIRST;
		if (units_parse_number(optarg, &ctl->first) == 0 && ctl->first <= LAST_MAX)
			return EXIT_SUCCESS;
		return usage_error("--first takes a number up to 100000, but not", optarg);
	case OPTION_PREFIX:
		arguments->given |= TAKES_PREFIX;
		ctl->prefix = optarg;
		return EXIT_SUCCESS;
	case OPTION_FOLLOW:
		arguments->given |= TAKES_FOLLOW;
		ctl->follows = true;
		return EXIT_SUCCESS;
	case ':': return option_error("an argument is missing after", argv);
	default: return option_error("unknown option", argv);
	}
}

static int take_word(struct arguments *arguments, const char *word)
{
	if (arguments->word_count == WORDS_MAX)
		return usage_error("one argument too many", word);
	arguments->words[arguments->word_count++] = word;
	return EXIT_SUCCESS;
}

static int parse_arguments(struct ctl *ctl, int argc, char *argv[], struct arguments *arguments)
{
	static const struct option names[] = {
		{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{"json", no_argument, NULL, OPTION_JSON},
		{"grant", required_argument, NULL, OPTION_GRANT},
		{"admin", no_argument, NULL, OPTION_ADMIN},
		{"limit", required_argument, NULL, OPTION_LIMIT},
		{"user", required_argument, NULL, OPTION_USER},
		{"all", no_argument, NULL, OPTION_ALL},
		{"from", required_argument, NULL, OPTION_FROM},
		{"last", required_argument, NULL, OPTION_LAST},
		{"follow", no_argument, NULL, OPTION_FOLLOW},
		{"prefix", required_argument, NULL, OPTION_PREFIX},
		{"first", required_argument, NULL, OPTION_FIRST},
		{"erase", no_argument, NULL, OPTION_ERASE},
		{NULL, 0, NULL, 0},
	};
	int result = EXIT_SUCCESS;
	int option;

	arguments->overrides = talloc_array(ctl->ctx, const char *, (unsigned)argc);
	if (arguments->overrides == NULL)
		return fail("out of memory");
	arguments->source.overrides = arguments->overrides;
	opterr = 0;
	/* "-": words come in their order as option 1, so that options may stand behind them in any environment. */
	while (result == EXIT_SUCCESS && (option = getopt_long(argc, argv, "-:c:o:hV", names, NULL)) != -1)
		result = option == 1 ? take_word(arguments, optarg) : take_option(ctl, arguments, option, argv);
	for (; result == EXIT_SUCCESS && optind < argc; optind++)
		result = take_word(arguments, argv[optind]);
	return result;
}

static const struct command *find_command(const struct arguments *arguments, size_t *used)
{
	for (size_t i = 0; i < command_count; i++) {
		const char *const *words = commands[i].words;

		*used = words[1] != NULL ? 2 : 1;
		if (arguments->word_count >= *used && strcmp(words[0], arguments->words[0]) == 0 &&
		    (words[1] == NULL || strcmp(words[1], arguments->words[1]) == 0))
			return &commands[i];
	}
	return NULL;
}

/* What an account is to be called, as it is meant, wherever it was copied from. Returns the exit code. */
static int plain_names(struct ctl *ctl, const struct command *command)
{
	const char **name = NULL;

	if (command->run == command_user_add)
		name = &ctl->operand;
	else if (command->run == command_user_rename)
		name = &ctl->value;
	if (name == NULL)
		return EXIT_SUCCESS;
	*name = users_plain_name(ctl->ctx, *name);
	return *name != NULL ? EXIT_SUCCESS : fail("out of memory");
}

/* "; of user there are add, list, ..." when there are others that begin with that word, else ""; on `ctx`. */
static const char *others_of_group(TALLOC_CTX *ctx, const char *group)
{
	char *text = talloc_strdup(ctx, "");

	for (size_t i = 0; text != NULL && i < command_count; i++) {
		const char *const *words = commands[i].words;

		if (words[1] == NULL || strcmp(words[0], group) != 0)
			continue;
		if (text[0] == '\0')
			text = talloc_asprintf_append_buffer(text, "; of %s there are %s", group, words[1]);
		else
			text = talloc_asprintf_append_buffer(text, ", %s", words[1]);
	}
	return text != NULL ? text : "";
}

/* The command that the words name, with its operand taken. NULL: *result is the exit code. */
static const struct command *choose_command(struct ctl *ctl, const struct arguments *arguments, int *result)
{
	const struct command *command;
	size_t used, operands;

	*result = EX_USAGE;
	if (arguments->word_count == 0) {
		(void)usage_error("no command was given", NULL);
		return NULL;
	}
	command = find_command(arguments, &used);
	if (command == NULL) {
		(void)usage_error("unknown command",
		                  talloc_asprintf(ctl->ctx, "%s%s%s%s", arguments->words[0],
		                                  arguments->word_count > 1 ? " " : "",
		                                  arguments->word_count > 1 ? arguments->words[1] : "",
		                                  others_of_group(ctl->ctx, arguments->words[0])));
		return NULL;
	}
	operands = arguments->word_count - used;
	ctl->operand = operands > 0 ? arguments->words[used] : NULL;
	ctl->value = operands > 1 ? arguments->words[used + 1] : NULL;
	if ((arguments->given & ~command->options) != 0 ||
	    operands > (command->operand != NULL ? 1U : 0U) + (command->takes_value ? 1U : 0U) ||
	    (command->takes_value && operands < 2) || (command->needs == OPTION && arguments->given == 0) ||
	    (command->needs == ONE && operands + (size_t)__builtin_popcount(arguments->given) != 1) ||
	    (command->needs != ONE && command->operand != NULL && operands == 0)) {
		(void)fail("usage: onesessionctl %s", command->synopsis);
		return NULL;
	}
	*result = plain_names(ctl, command);
	return *result == EXIT_SUCCESS ? command : NULL;
}

static int64_t longer(int64_t one, int64_t other)
{
	return one > other ? one : other;
}

static int64_t statement_timeout(const struct ctl *ctl, const struct command *command)
{
	/* What the daemon has told is not to wait for what the database adds to it. */
	if (command->run == command_status)
		return ctl->settings.database.connect_timeout;
	return longer(ctl->settings.database.statement_timeout,
	              command->run == command_migrate ? MIGRATE_TIMEOUT_MS : STATEMENT_TIMEOUT_MS);
}

static int set_up(struct ctl *ctl, const struct command *command)
{
	const struct db_config config = {
		.conninfo = ctl->settings.database.conninfo,
		.application_name = "onesessionctl",
		.connect_timeout_ms = ctl->settings.database.connect_timeout,
		.statement_timeout_ms = statement_timeout(ctl, command),
		.prepare = ctl->settings.database.prepare,
		.required_schema = command->run == command_migrate ? 0 : schema_version(),
	};

	ctl->signals = signals_new(ctl->ctx);
	ctl->db = db_new(ctl->ctx, &config);
	if (ctl->db == NULL || ctl->signals == NULL || rule_connect_receivers(ctl->signals) != 0)
		return fail("out of memory");
	/* The daemon itself is asked, also when its database is away. */
	if (command->run != command_status && db_connect(ctl->db) != DB_OK)
		return fail_database(ctl, DB_UNAVAILABLE);
	return EXIT_SUCCESS;
}

static int run(struct ctl *ctl, int argc, char *argv[])
{
	struct arguments arguments = {0};
	const struct command *command;
	size_t used;
	int result = parse_arguments(ctl, argc, argv, &arguments);

	if (result != EXIT_SUCCESS)
		return result;
	if (arguments.help) {
		command = arguments.word_count > 0 ? find_command(&arguments, &used) : NULL;
		if (command == NULL && arguments.word_count > 0)
			return print_group_help(arguments.words[0]);
		if (command != NULL)
			print_command_help(command);
		else
			print_help();
		return EXIT_SUCCESS;
	}
	if (arguments.version) {
		(void)printf("onesessionctl %s\n", ONESESSION_VERSION);
		return EXIT_SUCCESS;
	}
	command = choose_command(ctl, &arguments, &result);
	if (command == NULL)
		return result;
	if (config_load(ctl->ctx, &arguments.source, &ctl->settings, stderr) != 0)
		return EX_CONFIG;
	result = set_up(ctl, command);
	return result == EXIT_SUCCESS ? command->run(ctl) : result;
}

int main(int argc, char *argv[])
{
	struct ctl ctl = {.ctx = talloc_new(NULL), .limit = -1, .first = -1, .last = -1};
	int result;

	text_init();
	if (ctl.ctx == NULL)
		return fail("out of memory");
	if (sodium_init() < 0) {
		talloc_free(ctl.ctx);
		return fail("the system gives no random numbers");
	}
	/* The lower rooms log what goes wrong; here it is told to who asked, once. */
	if (log_open("onesessionctl", "/dev/null", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT) != 0)
		(void)fail("cannot open /dev/null: what follows may be told twice");
	result = run(&ctl, argc, argv);
	log_close();
	talloc_free(ctl.ctx);
	if ((fflush(stdout) != 0 || ferror(stdout)) && result == EXIT_SUCCESS)
		return fail("cannot write to standard output");
	return result;
}
