/* What onesessionctl says about its command line: help, and what is wrong with one; from the table of commands. */
#ifndef CTL_HELP_H
#define CTL_HELP_H

#include <stddef.h>

/* Of all commands, of the one that the words name, or of those that begin with the word. Returns the exit code. */
int help_print(const char *const words[], size_t word_count);

/* `which` may be NULL. Returns EX_USAGE. */
int help_usage_error(const char *what, const char *which);

/* That the words name no command; of the first word of several, what can stand behind it. Returns EX_USAGE. */
int help_unknown_command(const char *const words[], size_t word_count);

#endif
