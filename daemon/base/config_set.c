/* Setting keys of the configuration, and complaints about what is wrong with them. */
#include "base/config_set.h"

#include "base/config_names.h"
#include "base/config_value.h"
#include "base/utf8.h"

#include <string.h>

#define MODULE_KEY_MAX        60
#define MODULE_KEY_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

FILE *config_complain(struct config_set *set)
{
	set->failed = true;
	if (set->line > 0)
		(void)fprintf(set->complaints, "%s:%d: ", set->source, set->line);
	else
		(void)fprintf(set->complaints, "%s: ", set->source);
	return set->complaints;
}

FILE *config_complain_key(struct config_set *set, const char *section, const char *key)
{
	char shown_section[CONFIG_SHOWN_SIZE], shown[CONFIG_SHOWN_SIZE];
	FILE *out = config_complain(set);

	if (set->line > 0) {
		utf8_clean(section, shown_section, sizeof shown_section);
		utf8_clean(key, shown, sizeof shown);
		(void)fprintf(out, "%s.%s: ", shown_section, shown);
	}
	return out;
}

void config_complain_memory(struct config_set *set)
{
	(void)fputs("out of memory\n", config_complain(set));
}

/* A connection string may hold a password, which must not come into a terminal's history or a log. */
static bool is_secret(const struct option *option)
{
	return (option->flags & OPTION_SECRET) != 0;
}

static void complain_value(struct config_set *set, const struct option *option, const char *value, const char *expected)
{
	char shown[CONFIG_SHOWN_SIZE];
	FILE *out = config_complain_key(set, option->section, option->key);

	utf8_clean(value, shown, sizeof shown);
	if (is_secret(option))
		(void)fputs("the value is not ", out);
	else
		(void)fprintf(out, "\"%s\" is not ", shown);
	if (expected != NULL)
		(void)fputs(expected, out);
	else
		config_value_print_expected(out, option);
	(void)fputc('\n', out);
}

void config_complain_unknown(struct config_set *set, const char *section, const char *key)
{
	const struct option *nearest = config_names_option(section, key);
	FILE *out = config_complain_key(set, section, key);

	(void)fputs("there is no such key; ", out);
	if (nearest != NULL)
		(void)fprintf(out, "did you mean %s.%s?\n", nearest->section, nearest->key);
	else
		(void)fputs("--dump shows all that there are\n", out);
}

static void set_string(struct config_set *set, const struct option *option, const char *value)
{
	const char *problem = config_value_string_problem(option, value);
	const char *copy;

	if (problem != NULL) {
		complain_value(set, option, value, problem[0] != '\0' ? problem : NULL);
		return;
	}
	copy = talloc_strdup(set->ctx, value);
	if (copy == NULL)
		config_complain_memory(set);
	else
		config_value_set_string(set->settings, option, copy);
}

/* What a module's key may be; NULL when this one is right. */
static const char *module_value_problem(const char *key, const char *value)
{
	const char *expected;

	if (key[0] == '\0' || strlen(key) > MODULE_KEY_MAX || key[strspn(key, MODULE_KEY_CHARACTERS)] != '\0')
		return "a module's key has up to 60 letters, digits and - . _";
	if (!utf8_is_valid(value))
		return "the value is not UTF-8";
	expected = strcmp(key, "prefix") == 0 && value[0] != '\0' ? options_prefix_problem(value) : NULL;
	return expected;
}

void config_set_module_value(struct config_set *set, const char *section, const char *key, const char *value,
                             bool replaces)
{
	struct config_sections *sections = set->settings->sections;
	struct config_section *own = config_sections_get(sections, section, set->source, set->line);
	const struct config_entry *entry = own != NULL ? config_section_entry(own, key) : NULL;
	const char *problem = module_value_problem(key, value);

	if (own == NULL)
		config_complain_memory(set);
	else if (problem != NULL)
		(void)fprintf(config_complain_key(set, section, key), "%s\n", problem);
	else if (entry != NULL && !replaces)
		(void)fprintf(config_complain_key(set, section, key), "was set already in line %d\n", entry->line);
	else if (config_section_set(sections, own, key, value, set->line) != 0)
		config_complain_memory(set);
}

void config_set_value(struct config_set *set, const struct option *option, const char *value)
{
	int64_t number;

	if (option->type == OPTION_STRING)
		set_string(set, option, value);
	else if (config_value_parse(option, value, &number) == 0)
		config_value_set_number(set->settings, option, number);
	else
		complain_value(set, option, value, NULL);
}
