/* The command line of onesessionctl: getopt_long(3) with the table of options, values into struct ctl, wrong usage. */
#include "ctl/arguments.h"

#include "base/units.h"
#include "ctl/help.h"
#include "session/users.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* What getopt_long() returns for an option without a letter: this, and the option's id. */
#define NO_LETTER 256

/* What getopt_long() stumbled over, as it was written. */
static int option_error(const char *what, char *const argv[])
{
	const char letter[] = {'-', (char)optopt, '\0'};

	return help_usage_error(what, optopt > 0 && optopt < NO_LETTER ? letter : argv[optind - 1]);
}

/* What an account is to be called, as it is meant, wherever it was copied from. */
static int store_new_name(const struct ctl *ctl, const char **place, const char *value)
{
	*place = users_plain_name(ctl->ctx, value);
	return *place != NULL ? EXIT_SUCCESS : fail("out of memory");
}

static int store_number(const struct command_argument *argument, const char *of, int64_t *place, const char *value)
{
	char what[80];

	if (units_parse_number(value, place) == 0 && *place <= argument->max_number)
		return EXIT_SUCCESS;
	(void)snprintf(what, sizeof what, "%s takes a number up to %lld, but not", of, (long long)argument->max_number);
	return help_usage_error(what, value);
}

static int store_yes_no(const char *of, const char **place, const char *value)
{
	char what[64];

	if (value != NULL && (strcmp(value, "yes") == 0 || strcmp(value, "no") == 0)) {
		*place = value;
		return EXIT_SUCCESS;
	}
	(void)snprintf(what, sizeof what, "%s takes yes or no, but not", of);
	return help_usage_error(what, value != NULL ? value : "nothing");
}

/* `of` is the option or operand whose value it is, as it is written. Returns the exit code. */
static int store_value(struct ctl *ctl, struct arguments *arguments, const struct command_argument *argument,
                       const char *of, const char *value)
{
	void *place = (char *)ctl + argument->offset;

	switch (argument->kind) {
	case VALUE_NONE: return EXIT_SUCCESS;
	case VALUE_FLAG: *(bool *)place = true; return EXIT_SUCCESS;
	case VALUE_TEXT:
	case VALUE_FILE:
	case VALUE_NAME:
	case VALUE_LIMIT: *(const char **)place = value; return EXIT_SUCCESS;
	case VALUE_NEW_NAME: return store_new_name(ctl, place, value);
	case VALUE_NUMBER: return store_number(argument, of, place, value);
	case VALUE_YES_NO: return store_yes_no(of, place, value);
	case VALUE_OVERRIDES:
		arguments->overrides[((struct config_source *)place)->override_count++] = value;
		return EXIT_SUCCESS;
	}
	return EXIT_FAILURE;
}

/* Of options with the same name, the one that the command takes that has been named so far; else the first. */
static const struct command_option *resolve_option(const struct arguments *arguments, int code)
{
	const struct command *command;
	size_t used;
	int id = code >= NO_LETTER ? code - NO_LETTER : 0;

	while (code < NO_LETTER && command_options[id].letter != code)
		id++;
	command = command_find(arguments->words, arguments->word_count, &used);
	for (int other = id + 1; command != NULL && other < COMMAND_OPTION_COUNT; other++) {
		if (command_options[id].name != NULL && command_options[other].name != NULL &&
		    strcmp(command_options[id].name, command_options[other].name) == 0 &&
		    command_takes(command, (enum command_option_id)other))
			id = other;
	}
	return &command_options[id];
}

static int take_option(struct ctl *ctl, struct arguments *arguments, int code, char *const argv[])
{
	const struct command_option *option;
	const char *value = optarg;
	char of[32];

	if (code == ':')
		return option_error("an argument is missing after", argv);
	if (code == '?')
		return option_error("unknown option", argv);
	option = resolve_option(arguments, code);
	/* To getopt_long() it was a flag, as the first of its name is. */
	if (option->argument.name != NULL && value == NULL && argv[optind] != NULL)
		value = argv[optind++];
	arguments->given |= UINT64_C(1) << (option - command_options);
	(void)snprintf(of, sizeof of, "--%s", option->name != NULL ? option->name : "");
	return store_value(ctl, arguments, &option->argument, of, value);
}

static int take_word(struct arguments *arguments, const char *word)
{
	if (arguments->word_count == ARGUMENTS_WORDS_MAX)
		return help_usage_error("one argument too many", word);
	arguments->words[arguments->word_count++] = word;
	return EXIT_SUCCESS;
}

/* The table as getopt_long() wants it. */
static void list_options(struct option names[COMMAND_OPTION_COUNT + 1], char letters[2 * COMMAND_OPTION_COUNT + 3])
{
	/* "-": words come in their order as option 1, so that options may stand behind them in any environment. */
	char *letter = stpcpy(letters, "-:");
	const char *before = NULL;

	for (int id = 0; id < COMMAND_OPTION_COUNT; id++) {
		const struct command_option *option = &command_options[id];
		bool has_argument = option->argument.name != NULL;

		if (option->letter != '\0') {
			*letter++ = option->letter;
			letter = stpcpy(letter, has_argument ? ":" : "");
		}
		if (option->name != NULL && (before == NULL || strcmp(before, option->name) != 0))
			*names++ = (struct option){option->name, has_argument ? required_argument : no_argument, NULL,
			                           option->letter != '\0' ? option->letter : NO_LETTER + id};
		before = option->name;
	}
	*names = (struct option){NULL, 0, NULL, 0};
}

int arguments_parse(struct ctl *ctl, int argc, char *argv[], struct arguments *arguments)
{
	struct option names[COMMAND_OPTION_COUNT + 1];
	char letters[2 * COMMAND_OPTION_COUNT + 3];
	int result = EXIT_SUCCESS;
	int code;

	*arguments = (struct arguments){.overrides = talloc_array(ctl->ctx, const char *, (unsigned)argc)};
	if (arguments->overrides == NULL)
		return fail("out of memory");
	ctl->source.overrides = arguments->overrides;
	list_options(names, letters);
	opterr = 0;
	while (result == EXIT_SUCCESS && (code = getopt_long(argc, argv, letters, names, NULL)) != -1)
		result = code == 1 ? take_word(arguments, optarg) : take_option(ctl, arguments, code, argv);
	for (; result == EXIT_SUCCESS && optind < argc; optind++)
		result = take_word(arguments, argv[optind]);
	return result;
}

bool arguments_have(const struct arguments *arguments, enum command_option_id id)
{
	return (arguments->given & UINT64_C(1) << id) != 0;
}

/* How many were given that are not aside. */
static size_t count_main_options(uint64_t given)
{
	size_t count = 0;

	for (int id = COMMAND_OPTIONS_COMMON; id < COMMAND_OPTION_COUNT; id++)
		count += (given & UINT64_C(1) << id) != 0 && !command_option_is_aside((enum command_option_id)id);
	return count;
}

static bool is_wrong(const struct command *command, const struct arguments *arguments, size_t operands)
{
	uint64_t given = arguments->given >> COMMAND_OPTIONS_COMMON << COMMAND_OPTIONS_COMMON;
	size_t count = command_operand_count(command);

	if ((given & ~command->options) != 0 || operands > count)
		return true;
	switch (command->needs) {
	case NEEDS_OPERANDS: return operands < count;
	case NEEDS_OPTION: return operands < count || given == 0;
	case NEEDS_FIRST: return operands < count || (given & command->options & -command->options) == 0;
	case NEEDS_ONE: return operands + count_main_options(given) != 1;
	case NEEDS_ONE_OR_NONE: return operands + count_main_options(given) > 1;
	}
	return true;
}

const struct command *arguments_command(struct ctl *ctl, struct arguments *arguments, int *result)
{
	const char *const *words = arguments->words;
	const struct command *command;
	char synopsis[COMMAND_SYNOPSIS_SIZE];
	size_t used, operands;

	*result = EX_USAGE;
	command = command_find(words, arguments->word_count, &used);
	if (command == NULL) {
		*result = help_unknown_command(words, arguments->word_count);
		return NULL;
	}
	operands = arguments->word_count - used;
	if (is_wrong(command, arguments, operands)) {
		(void)fail("usage: onesessionctl %s", command_synopsis(command, synopsis));
		return NULL;
	}
	*result = EXIT_SUCCESS;
	for (size_t i = 0; i < operands && *result == EXIT_SUCCESS; i++)
		*result =
			store_value(ctl, arguments, &command->operands[i], command->operands[i].name, words[used + i]);
	return *result == EXIT_SUCCESS ? command : NULL;
}
