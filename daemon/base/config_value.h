/* One value of the configuration: from text, to text, and in struct settings. */
#ifndef BASE_CONFIG_VALUE_H
#define BASE_CONFIG_VALUE_H

#include "base/options.h"
#include "base/settings.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The number that `text` stands for, of an option that is no string. Returns 0, or -1 when it is none or out of range.
 */
int config_value_parse(const struct option *option, const char *text, int64_t *number);

/*
 * NULL when `text` can be the value of an option that is a string; else what would be right, where "" stands for what
 * config_value_print_expected() prints.
 */
const char *config_value_string_problem(const struct option *option, const char *text);

int64_t config_value_number(const struct settings *settings, const struct option *option);
const char *config_value_string(const struct settings *settings, const struct option *option);

/* The string is not copied. */
void config_value_set_number(struct settings *settings, const struct option *option, int64_t number);
void config_value_set_string(struct settings *settings, const struct option *option, const char *text);

/* The value in force, as it would be written in a file. */
void config_value_print(FILE *out, const struct settings *settings, const struct option *option);

/* What would be right: "a duration such as 30s, 5m, 2h or 14d, from 1s to 1h". */
void config_value_print_expected(FILE *out, const struct option *option);

#endif
