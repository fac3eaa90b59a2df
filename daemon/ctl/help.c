/* What onesessionctl says about its command line: help, and what is wrong with one; from the table of commands. */
#include "ctl/help.h"

#include "ctl/commands.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static void print_option(const struct command_option *option)
{
	const char *argument = option->argument.name;
	char text[64] = "   ";

	if (option->letter != '\0')
		(void)snprintf(text, sizeof text, "-%c%s", option->letter, option->name != NULL ? "," : "");
	(void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s%s%s", option->name != NULL ? " --" : "",
	               option->name != NULL ? option->name : "", argument != NULL ? " " : "",
	               argument != NULL ? argument : "");
	(void)printf("  %-23s  %s\n", text, option->help);
}

static void print_common_options(void)
{
	for (int id = 0; id < COMMAND_OPTIONS_COMMON; id++)
		print_option(&command_options[id]);
	(void)printf("\nExit status: 0; 1 failure; 64 wrong usage; 78 wrong configuration.\n");
}

/* Those that begin with the word `group`; NULL: all. */
static void print_commands(const char *group)
{
	char synopsis[COMMAND_SYNOPSIS_SIZE];

	for (size_t i = 0; i < command_count; i++) {
		if (group == NULL || strcmp(commands[i].words[0], group) == 0)
			(void)printf("  %-42s  %s\n", command_synopsis(&commands[i], synopsis), commands[i].help);
	}
}

static void print_command(const struct command *command)
{
	char synopsis[COMMAND_SYNOPSIS_SIZE];

	(void)printf("Usage: onesessionctl [OPTION]... %s\n\n%c%s.\n\n", command_synopsis(command, synopsis),
	             toupper((unsigned char)command->help[0]), command->help + 1);
	for (int id = COMMAND_OPTIONS_COMMON; id < COMMAND_OPTION_COUNT; id++) {
		if (command_takes(command, (enum command_option_id)id))
			print_option(&command_options[id]);
	}
}

int help_print(const char *const words[], size_t word_count)
{
	size_t used;
	const struct command *command = command_find(words, word_count, &used);

	if (command != NULL) {
		print_command(command);
	} else if (word_count == 0 || command_is_group(words[0])) {
		const char *group = word_count > 0 ? words[0] : NULL;

		(void)printf("Usage: onesessionctl [OPTION]... %s%sCOMMAND\n\n", group != NULL ? group : "",
		             group != NULL ? " " : "");
		print_commands(group);
		(void)putchar('\n');
	} else {
		return help_usage_error("unknown command", words[0]);
	}
	print_common_options();
	return EXIT_SUCCESS;
}

int help_usage_error(const char *what, const char *which)
{
	(void)fail("%s%s%s (see onesessionctl --help)", what, which != NULL ? ": " : "", which != NULL ? which : "");
	return EX_USAGE;
}

/* In one line, as everything that is said on standard error. */
static int incomplete_command(const char *group)
{
	char list[256] = "";

	for (size_t i = 0; i < command_count; i++) {
		size_t length = strlen(list);

		if (strcmp(commands[i].words[0], group) == 0)
			(void)snprintf(list + length, sizeof list - length, "%s%s", length > 0 ? ", " : "",
			               commands[i].words[1]);
	}
	(void)fail("%s needs one of %s (see onesessionctl %s --help)", group, list, group);
	return EX_USAGE;
}

int help_unknown_command(const char *const words[], size_t word_count)
{
	char which[256];

	if (word_count == 0)
		return help_usage_error("no command was given", NULL);
	if (command_is_group(words[0]))
		return incomplete_command(words[0]);
	(void)snprintf(which, sizeof which, "%s%s%s", words[0], word_count > 1 ? " " : "",
	               word_count > 1 ? words[1] : "");
	return help_usage_error("unknown command", which);
}
