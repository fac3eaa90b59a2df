/*
 * onesession.conf(5) from its template: copies standard input to standard output and puts the list of all options, as
 * mdoc(7), where a line says @OPTIONS@. What is listed is the table that the daemon itself reads.
 */
#include "base/options.h"
#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 4096

/* Text in which nothing means anything to roff; it does not begin a line. */
static void put_text(const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '\\': (void)fputs("\\e", stdout); break;
		case '-': (void)fputs("\\-", stdout); break;
		case '~': (void)fputs("\\(ti", stdout); break;
		case '^': (void)fputs("\\(ha", stdout); break;
		default: (void)putchar(*text); break;
		}
	}
}

static void put_number(const struct option *option, int64_t number)
{
	char text[32];

	switch (option->type) {
	case OPTION_MODE: (void)printf("%04" PRIo64, (uint64_t)number); break;
	case OPTION_DURATION: (void)fputs(units_format_duration(number, text, sizeof text), stdout); break;
	case OPTION_SIZE: (void)fputs(units_format_size(number, text, sizeof text), stdout); break;
	default: (void)printf("%" PRId64, number); break;
	}
}

static void put_range(const struct option *option, const char *kind)
{
	(void)printf("%s from ", kind);
	put_number(option, option->min);
	(void)fputs(" to ", stdout);
	put_number(option, option->max);
}

static void put_choices(const char *const choices[])
{
	for (size_t i = 0; choices[i] != NULL; i++)
		(void)printf("%s.Cm %s", i == 0 ? "" : choices[i + 1] == NULL ? "\nor\n" : " ,\n", choices[i]);
}

/* What values it takes, within a line or on lines of its own. */
static void put_type(const struct option *option)
{
	(void)fputs("Type:\n", stdout);
	switch (option->type) {
	case OPTION_NUMBER: put_range(option, "number"); break;
	case OPTION_MODE: put_range(option, "file mode in octal"); break;
	case OPTION_DURATION: put_range(option, "duration"); break;
	case OPTION_SIZE: put_range(option, "size"); break;
	case OPTION_SWITCH: (void)fputs(".Cm on\nor\n.Cm off", stdout); break;
	case OPTION_CHOICE: put_choices(option->choices); break;
	case OPTION_STRING: (void)fputs("text", stdout); break;
	}
	(void)fputs("\n.br\n", stdout);
}

static void put_option(const struct option *option)
{
	(void)printf(".It Ic %s No = Ar value\n\\&", option->key);
	put_text(option->help);
	(void)fputs(".\n", stdout);
	(void)fputs(".Pp\n", stdout);
	put_type(option);
	(void)fputs("Default: ", stdout);
	put_text(option->fallback[0] != '\0' ? option->fallback : "empty");
	(void)printf("\n.br\nTakes effect: %s\n",
	             (option->flags & OPTION_RELOADABLE) != 0 ? "at the start, and at HUP" : "at the start only");
}

static void put_options(void)
{
	for (size_t i = 0; i < options_count; i++) {
		const struct option *option = &options[i];

		if (i == 0 || strcmp(option->section, options[i - 1].section) != 0)
			(void)printf("%s.Ss \\(lB%s\\(rB\n.Bl -tag -width Ds\n", i == 0 ? "" : ".El\n",
			             option->section);
		put_option(option);
	}
	(void)fputs(".El\n", stdout);
}

int main(void)
{
	char line[LINE_SIZE];

	while (fgets(line, sizeof line, stdin) != NULL) {
		if (strcmp(line, "@OPTIONS@\n") == 0)
			put_options();
		else
			(void)fputs(line, stdout);
	}
	return ferror(stdin) == 0 && fflush(stdout) == 0 && ferror(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
