/* The one table of onesessionctl's commands and options: parser, help, manual and completion are drawn from it. */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include "ctl/ctl.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an argument of a command or of an option can be, and how it is kept in struct ctl. */
enum value_kind {
	VALUE_NONE,      /* no argument: whether the option was given is all there is to know */
	VALUE_FLAG,      /* no argument: bool, true when the option was given */
	VALUE_TEXT,      /* const char * */
	VALUE_FILE,      /* const char *, the path of a file */
	VALUE_NAME,      /* const char *, the name of an account, as it was given */
	VALUE_NEW_NAME,  /* likewise, of one that is not there yet, as users_plain_name() gives it */
	VALUE_LIMIT,     /* const char *, a number or "default" */
	VALUE_NUMBER,    /* int64_t, from 0 to max_number */
	VALUE_YES_NO,    /* const char *, "yes" or "no" */
	VALUE_OVERRIDES, /* struct config_source, to whose overrides each use adds one */
};

struct command_argument {
	const char *name; /* "ROLE", in help; "yes|no" where these are to be typed; NULL: no argument */
	enum value_kind kind;
	size_t offset;      /* into struct ctl; of no meaning for VALUE_NONE */
	int64_t max_number; /* for VALUE_NUMBER */
};

/* What comes before COMMAND_OPTIONS_COMMON is for every command. */
enum command_option_id {
	COMMAND_OPTION_CONFIG,
	COMMAND_OPTION_OVERRIDE,
	COMMAND_OPTION_JSON,
	COMMAND_OPTION_VERSION,
	COMMAND_OPTION_HELP,
	COMMAND_OPTIONS_COMMON,
	COMMAND_OPTION_GRANT = COMMAND_OPTIONS_COMMON,
	COMMAND_OPTION_MODULE,
	COMMAND_OPTION_FOLDER,
	COMMAND_OPTION_ADMIN,
	COMMAND_OPTION_ADMIN_YES_NO,
	COMMAND_OPTION_LIMIT,
	COMMAND_OPTION_EMAIL,
	COMMAND_OPTION_PLAN,
	COMMAND_OPTION_GROUPS,
	COMMAND_OPTION_VALID_UNTIL,
	COMMAND_OPTION_SCOPE,
	COMMAND_OPTION_EXPIRES,
	COMMAND_OPTION_EVENTS,
	COMMAND_OPTION_INVITE,
	COMMAND_OPTION_DOMAIN,
	COMMAND_OPTION_USER,
	COMMAND_OPTION_ALL,
	COMMAND_OPTION_ALL_WEBHOOKS,
	COMMAND_OPTION_DEAD,
	COMMAND_OPTION_STATE,
	COMMAND_OPTION_FROM,
	COMMAND_OPTION_MAP,
	COMMAND_OPTION_IGNORE,
	COMMAND_OPTION_DIALECT,
	COMMAND_OPTION_PREFIX,
	COMMAND_OPTION_SESSIONS,
	COMMAND_OPTION_FIRST,
	COMMAND_OPTION_ERASE,
	COMMAND_OPTION_LAST,
	COMMAND_OPTION_FOLLOW,
	COMMAND_OPTION_YES,
	COMMAND_OPTION_COUNT,
};

struct command_option {
	char letter;      /* of -c, or '\0' */
	const char *name; /* behind "--", or NULL; those of the same name stand together, and take what their command
	                     says */
	struct command_argument argument;
	const char *help;
};

/* How many of the operands and options have to be given. */
enum command_needs {
	NEEDS_OPERANDS,    /* all operands */
	NEEDS_OPTION,      /* all operands, and at least one option */
	NEEDS_FIRST,       /* all operands, and the first of its options */
	NEEDS_ONE,         /* one of the operand and the options, and no second one; what is aside is none of these */
	NEEDS_ONE_OR_NONE, /* the same, or nothing */
};

/* What a command wants of the database before it runs. */
enum command_database {
	DATABASE_CONNECTED, /* a connection, to tables of this version */
	DATABASE_MIGRATING, /* a connection, to tables of any version, with time to change them */
	DATABASE_OPTIONAL,  /* no connection; it connects itself, and does not wait for the answer for long */
};

#define COMMAND_OPERANDS_MAX 2

struct command {
	const char *words[2];                                   /* the second is NULL when there is only one */
	struct command_argument operands[COMMAND_OPERANDS_MAX]; /* those that it has come first */
	uint64_t options;                                       /* 1 << command_option_id, but for the common ones */
	enum command_needs needs;
	enum command_database database;
	int (*run)(struct ctl *ctl);
	const char *help;
	bool is_aside; /* it is never the one that a command with NEEDS_ONE wants, nor needed */
};

extern const struct command_option command_options[COMMAND_OPTION_COUNT];
extern const struct command commands[];
extern const size_t command_count;

/* The command that the words begin with; *used is how many of them name it. NULL when there is none. */
const struct command *command_find(const char *const words[], size_t word_count, size_t *used);

/* Whether there are commands of two words whose first is `word`. */
bool command_is_group(const char *word);

bool command_takes(const struct command *command, enum command_option_id id);

/* It is never the one that a command with NEEDS_ONE wants, nor needed by any. */
bool command_option_is_aside(enum command_option_id id);
size_t command_operand_count(const struct command *command);

#define COMMAND_SYNOPSIS_SIZE 192

/* "user add NAME [--admin] [--limit N]". Returns `text`. */
const char *command_synopsis(const struct command *command, char text[COMMAND_SYNOPSIS_SIZE]);

#endif
