/* One value of the configuration: from text, to text, and in struct settings. */
#include "base/config_value.h"

#include "base/units.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

static void *place_of(struct settings *settings, const struct option *option)
{
	return (char *)settings + option->offset;
}

static const void *value_of(const struct settings *settings, const struct option *option)
{
	return (const char *)settings + option->offset;
}

static int parse_mode(const char *value, int64_t *mode)
{
	int64_t result = 0;

	if (*value == '\0' || strlen(value) > 4)
		return -1;
	for (; *value != '\0'; value++) {
		if (*value < '0' || *value > '7')
			return -1;
		result = result * 8 + (*value - '0');
	}
	*mode = result;
	return 0;
}

static int parse_choice(const char *value, const struct option *option, int64_t *choice)
{
	for (int i = 0; option->choices[i] != NULL; i++) {
		if (strcmp(value, option->choices[i]) == 0) {
			*choice = i;
			return 0;
		}
	}
	return -1;
}

static int parse_switch(const char *value, int64_t *on)
{
	if (strcmp(value, "on") == 0 || strcmp(value, "yes") == 0 || strcmp(value, "true") == 0)
		*on = 1;
	else if (strcmp(value, "off") == 0 || strcmp(value, "no") == 0 || strcmp(value, "false") == 0)
		*on = 0;
	else
		return -1;
	return 0;
}

static int parse_number(const char *value, const struct option *option, int64_t *number)
{
	switch (option->type) {
	case OPTION_NUMBER: return units_parse_number(value, number);
	case OPTION_MODE: return parse_mode(value, number);
	case OPTION_DURATION: return units_parse_duration(value, number);
	case OPTION_SIZE: return units_parse_size(value, number);
	case OPTION_SWITCH: return parse_switch(value, number);
	case OPTION_CHOICE: return parse_choice(value, option, number);
	default: return -1;
	}
}

static bool may_be_auto(const struct option *option)
{
	return (option->flags & OPTION_AUTO) != 0;
}

int config_value_parse(const struct option *option, const char *text, int64_t *number)
{
	if (may_be_auto(option) && strcmp(text, "auto") == 0) {
		*number = SETTING_AUTO;
		return 0;
	}
	if (parse_number(text, option, number) != 0)
		return -1;
	return option->type == OPTION_CHOICE || (*number >= option->min && *number <= option->max) ? 0 : -1;
}

static void print_number(FILE *out, const struct option *option, int64_t number)
{
	char text[32];

	if (may_be_auto(option) && number == SETTING_AUTO) {
		(void)fputs("auto", out);
		return;
	}
	switch (option->type) {
	case OPTION_MODE: (void)fprintf(out, "%04" PRIo64, (uint64_t)number); break;
	case OPTION_DURATION: (void)fputs(units_format_duration(number, text, sizeof text), out); break;
	case OPTION_SIZE: (void)fputs(units_format_size(number, text, sizeof text), out); break;
	case OPTION_SWITCH: (void)fputs(number != 0 ? "on" : "off", out); break;
	case OPTION_CHOICE: (void)fputs(option->choices[number], out); break;
	default: (void)fprintf(out, "%" PRId64, number); break;
	}
}

void config_value_print_expected(FILE *out, const struct option *option)
{
	static const char *const kinds[] = {
		[OPTION_NUMBER] = "a whole number",
		[OPTION_MODE] = "file permissions in octal",
		[OPTION_DURATION] = "a duration such as 500ms, 30s, 5m, 2h or 14d",
		[OPTION_SIZE] = "a size such as 64KiB, 64MiB or 1GiB",
	};

	switch (option->type) {
	case OPTION_SWITCH: (void)fputs("on or off", out); break;
	case OPTION_CHOICE:
		for (int i = 0; option->choices[i] != NULL; i++)
			(void)fprintf(out, "%s%s",
			              i == 0                           ? ""
			              : option->choices[i + 1] == NULL ? " or "
			                                               : ", ",
			              option->choices[i]);
		break;
	case OPTION_STRING: (void)fprintf(out, "at most %" PRId64 " characters", option->max); break;
	default:
		(void)fprintf(out, "%s%s from ", may_be_auto(option) ? "auto or " : "", kinds[option->type]);
		print_number(out, option, option->min);
		(void)fputs(" to ", out);
		print_number(out, option, option->max);
		break;
	}
}

void config_value_set_number(struct settings *settings, const struct option *option, int64_t number)
{
	void *place = place_of(settings, option);

	if (option->type == OPTION_SWITCH)
		*(bool *)place = number != 0;
	else if (option->type == OPTION_CHOICE)
		*(int *)place = (int)number;
	else
		*(int64_t *)place = number;
}

int64_t config_value_number(const struct settings *settings, const struct option *option)
{
	const void *value = value_of(settings, option);

	if (option->type == OPTION_SWITCH)
		return *(const bool *)value;
	if (option->type == OPTION_CHOICE)
		return *(const int *)value;
	return *(const int64_t *)value;
}

const char *config_value_string(const struct settings *settings, const struct option *option)
{
	const char *text;

	memcpy(&text, value_of(settings, option), sizeof text);
	return text;
}

/* Any value that is taken can be written to a file again, where white space and a semicolon begin a comment. */
static bool is_writable(const char *value)
{
	bool after_space = true;

	for (; *value != '\0'; value++) {
		if ((utf8_is_ascii_control(*value) && *value != '\t') || (after_space && *value == ';'))
			return false;
		after_space = *value == ' ' || *value == '\t';
	}
	return true;
}

static bool is_empty_root(const struct option *option)
{
	return (option->flags & OPTION_ROOT_IS_EMPTY) != 0;
}

void config_value_set_string(struct settings *settings, const struct option *option, const char *text)
{
	const char *stored = is_empty_root(option) && strcmp(text, "/") == 0 ? "" : text;

	memcpy(place_of(settings, option), &stored, sizeof stored);
}

const char *config_value_string_problem(const struct option *option, const char *text)
{
	const char *problem = NULL;

	if (!is_writable(text))
		return "a text without control characters and without white space before a semicolon";
	if (option->check != NULL)
		problem = option->check(text);
	return problem == NULL && strlen(text) > (size_t)option->max ? "" : problem;
}

void config_value_print(FILE *out, const struct settings *settings, const struct option *option)
{
	const char *text;

	if (option->type != OPTION_STRING) {
		print_number(out, option, config_value_number(settings, option));
		return;
	}
	text = config_value_string(settings, option);
	(void)fputs(is_empty_root(option) && text[0] == '\0' ? "/" : text, out);
}
