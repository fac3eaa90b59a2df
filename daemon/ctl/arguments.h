/* The command line of onesessionctl, read by the table of commands and options. */
#ifndef CTL_ARGUMENTS_H
#define CTL_ARGUMENTS_H

#include "ctl/commands.h"

#define ARGUMENTS_WORDS_MAX 4

struct arguments {
	const char *words[ARGUMENTS_WORDS_MAX]; /* what is no option: the command's words and its operands */
	size_t word_count;
	uint64_t given;         /* 1 << command_option_id */
	const char **overrides; /* ctl->source.overrides, while it grows */
};

/* Options are kept in *ctl, words in *arguments. Returns the exit code. */
int arguments_parse(struct ctl *ctl, int argc, char *argv[], struct arguments *arguments);

bool arguments_have(const struct arguments *arguments, enum command_option_id id);

/* The command that the words name, with its operands in *ctl. NULL: *result is the exit code. */
const struct command *arguments_command(struct ctl *ctl, struct arguments *arguments, int *result);

#endif
