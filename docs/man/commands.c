/*
 * onesessionctl(8) and the completion for bash from their templates: copies standard input to standard output and puts
 * something in place of each line that names a part of the table of commands, which is the one that the program reads:
 *   @COMMAND user add@    the head of the list's item about this command, as mdoc(7)
 *   @OPTION json@         likewise of an option that every command takes, by its name or else its letter
 *   @COMPLETION@          all commands and options, as arrays of bash
 * A manual that leaves out one of these, or names one that there is not, is refused.
 */
#include "ctl/commands.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 4096

/* What a manual has named so far. */
struct named {
	bool is_manual;
	uint64_t options;       /* 1 << command_option_id */
	unsigned long commands; /* 1 << index */
};

#define WORDS_SIZE 32

/* "user add". Returns `text`. */
static const char *words_of(const struct command *command, char text[WORDS_SIZE])
{
	const char *second = command->words[1];

	(void)snprintf(text, WORDS_SIZE, "%s%s%s", command->words[0], second != NULL ? " " : "",
	               second != NULL ? second : "");
	return text;
}

/* ---- The manual --------------------------------------------------------------------------------------------- */

/* "SECTION.KEY=VALUE" or "N|default": capitals stand for something, other letters for themselves. */
static void put_argument(const char *text)
{
	while (*text != '\0') {
		size_t length = strcspn(text, ".=|");
		bool is_variable = isupper((unsigned char)*text);

		(void)printf(" %s ", is_variable ? "Ar" : "Cm");
		for (size_t i = 0; i < length; i++)
			(void)putchar(tolower((unsigned char)text[i]));
		text += length;
		if (*text == '|')
			(void)fputs(" |", stdout);
		else if (*text != '\0')
			(void)printf("%s %c Ns", *text == '.' ? "" : " Ns", *text);
		text += *text != '\0';
	}
}

/* From the synopsis, word by word. */
static void put_command(const struct command *command)
{
	char synopsis[COMMAND_SYNOPSIS_SIZE], words[WORDS_SIZE];
	char *rest = synopsis;
	const char *word;

	(void)command_synopsis(command, synopsis);
	(void)printf(".It Cm %s", words_of(command, words));
	for (size_t i = 0; i < 2 && command->words[i] != NULL; i++)
		(void)strsep(&rest, " ");
	while ((word = strsep(&rest, " ")) != NULL) {
		char *end = strchr(word, ']');

		if (end != NULL)
			*end = '\0';
		if (word[0] == '[')
			(void)fputs(" Oo", stdout);
		word += word[0] == '[';
		if (word[0] == '|')
			(void)fputs(" |", stdout);
		else if (word[0] == '-')
			(void)printf(" Fl %s", word + 1);
		else
			put_argument(word);
		if (end != NULL)
			(void)fputs(" Oc", stdout);
	}
	(void)putchar('\n');
}

static void put_option(const struct command_option *option)
{
	(void)fputs(".It", stdout);
	if (option->letter != '\0') {
		(void)printf(" Fl %c", option->letter);
		if (option->argument.name != NULL)
			put_argument(option->argument.name);
	}
	if (option->name != NULL) {
		(void)printf("%s Fl -%s", option->letter != '\0' ? " ," : "", option->name);
		if (option->argument.name != NULL)
			put_argument(option->argument.name);
	}
	(void)putchar('\n');
}

/* ---- The completion ----------------------------------------------------------------------------------------- */

/* What bash offers for an argument: "account", "file", words to choose from, or nothing that is known. */
static const char *completion_of(const struct command_argument *argument)
{
	switch (argument->kind) {
	case VALUE_NAME: return "account";
	case VALUE_FILE: return "file";
	case VALUE_LIMIT: return "=default";
	case VALUE_YES_NO: return "=yes =no";
	default: return "nothing";
	}
}

/* Of two options with the same name the second is only what the commands that take it mean by that name. */
static bool is_second(const struct command_option *option)
{
	const char *before = option > command_options ? option[-1].name : NULL;

	return before != NULL && option->name != NULL && strcmp(before, option->name) == 0;
}

static void put_options_of(const struct command *command)
{
	const char *separator = "";

	for (int id = COMMAND_OPTIONS_COMMON; id < COMMAND_OPTION_COUNT; id++) {
		if (command_takes(command, (enum command_option_id)id)) {
			(void)printf("%s--%s", separator, command_options[id].name);
			separator = " ";
		}
	}
}

static void put_completion_commands(void)
{
	(void)fputs("# Each command: its words, what its operands are, its options.\n__onesessionctl_commands=(\n",
	            stdout);
	for (size_t i = 0; i < command_count; i++) {
		const struct command *command = &commands[i];
		char words[WORDS_SIZE];

		(void)printf("\t'%s|", words_of(command, words));
		for (size_t operand = 0; operand < command_operand_count(command); operand++)
			(void)printf("%s%s", operand > 0 ? "," : "", completion_of(&command->operands[operand]));
		(void)putchar('|');
		put_options_of(command);
		(void)fputs("'\n", stdout);
	}
	(void)fputs(")\n\n", stdout);
}

static void put_completion_argument(enum command_option_id id)
{
	const struct command_option *option = &command_options[id];
	const char *what = completion_of(&option->argument);
	char words[WORDS_SIZE];

	if (option->letter != '\0')
		(void)printf("\t['-%c']='%s'\n", option->letter, what);
	if (option->name != NULL && !is_second(option))
		(void)printf("\t['--%s']='%s'\n", option->name, what);
	for (size_t i = 0; is_second(option) && i < command_count; i++) {
		if (command_takes(&commands[i], id))
			(void)printf("\t['%s --%s']='%s'\n", words_of(&commands[i], words), option->name, what);
	}
}

static void put_completion(void)
{
	put_completion_commands();
	(void)fputs(
		"# Each option with an argument, behind the words of the command where it is not the same for all:\n"
		"# what the argument is.\ndeclare -A __onesessionctl_arguments=(\n",
		stdout);
	for (int id = 0; id < COMMAND_OPTION_COUNT; id++) {
		if (command_options[id].argument.name != NULL)
			put_completion_argument((enum command_option_id)id);
	}
	(void)fputs(")\n\n", stdout);
	(void)fputs("# What every command takes.\n__onesessionctl_options=(", stdout);
	for (int id = 0; id < COMMAND_OPTIONS_COMMON; id++) {
		if (command_options[id].letter != '\0')
			(void)printf("%s-%c", id > 0 ? " " : "", command_options[id].letter);
		if (command_options[id].name != NULL)
			(void)printf(" --%s", command_options[id].name);
	}
	(void)fputs(")\n", stdout);
}

/* ---- Templates ---------------------------------------------------------------------------------------------- */

static bool put_named_command(struct named *named, char *name)
{
	char *rest = name;
	const char *words[2];
	size_t count = 0, used;
	const struct command *command;

	for (char *word; count < 2 && (word = strsep(&rest, " ")) != NULL;)
		words[count++] = word;
	command = command_find(words, count, &used);
	if (command == NULL || used != count || rest != NULL)
		return false;
	named->commands |= 1UL << (command - commands);
	put_command(command);
	return true;
}

static bool put_named_option(struct named *named, const char *name)
{
	for (int id = 0; id < COMMAND_OPTIONS_COMMON; id++) {
		const struct command_option *option = &command_options[id];
		const char letter[] = {option->letter, '\0'};

		if (strcmp(option->name != NULL ? option->name : letter, name) == 0) {
			named->options |= UINT64_C(1) << id;
			put_option(option);
			return true;
		}
	}
	return false;
}

/* False when the line names what there is not. */
static bool put_line(struct named *named, char *line)
{
	static const char command[] = "@COMMAND ", option[] = "@OPTION ";
	size_t length = strlen(line);

	if (strcmp(line, "@COMPLETION@\n") == 0) {
		put_completion();
		return true;
	}
	if (length < 3 || line[0] != '@' || line[length - 2] != '@') {
		(void)fputs(line, stdout);
		return true;
	}
	line[length - 2] = '\0';
	named->is_manual = true;
	if (strncmp(line, command, strlen(command)) == 0)
		return put_named_command(named, line + strlen(command));
	return strncmp(line, option, strlen(option)) == 0 && put_named_option(named, line + strlen(option));
}

static bool is_complete(const struct named *named)
{
	char words[WORDS_SIZE];

	if (!named->is_manual)
		return true;
	for (size_t i = 0; i < command_count; i++) {
		if ((named->commands & 1UL << i) == 0) {
			(void)fprintf(stderr, "the manual leaves out %s\n", words_of(&commands[i], words));
			return false;
		}
	}
	if (named->options == (UINT64_C(1) << COMMAND_OPTIONS_COMMON) - 1)
		return true;
	(void)fputs("the manual leaves out an option that every command takes\n", stderr);
	return false;
}

int main(void)
{
	struct named named = {0};
	char line[LINE_SIZE];

	while (fgets(line, sizeof line, stdin) != NULL) {
		if (!put_line(&named, line)) {
			(void)fprintf(stderr, "not in the table of commands: %s\n", line);
			return EXIT_FAILURE;
		}
	}
	return is_complete(&named) && ferror(stdin) == 0 && fflush(stdout) == 0 && ferror(stdout) == 0 ? EXIT_SUCCESS
	                                                                                               : EXIT_FAILURE;
}
