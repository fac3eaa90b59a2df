/* Sections of the configuration that are modules' own. */
#include "base/config_sections.h"

#include "base/config_names.h"
#include "base/utf8.h"

#include <string.h>

bool config_section_can_be(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	size_t length = strlen(name);

	return length > 0 && length < MODULE_NAME_SIZE && strchr(first, name[0]) != NULL &&
	       strspn(name, rest) == length;
}

static struct config_section *find_section(struct config_section all[], size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	}
	return NULL;
}

static struct config_entry *find_entry(struct config_entry entries[], size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(entries[i].key, key) == 0)
			return &entries[i];
	}
	return NULL;
}

struct config_section *config_sections_find(const struct config_sections *sections, const char *name)
{
	return sections != NULL ? find_section(sections->all, sections->count, name) : NULL;
}

struct config_section *config_sections_get(struct config_sections *sections, const char *name, const char *source,
                                           int line)
{
	struct config_section *section = find_section(sections->all, sections->count, name);
	struct config_section *all;

	if (section != NULL)
		return section;
	all = talloc_realloc(sections, sections->all, struct config_section, (unsigned int)sections->count + 1);
	if (all == NULL)
		return NULL;
	sections->all = all;
	section = &all[sections->count];
	*section = (struct config_section){
		.name = talloc_strdup(sections, name), .source = talloc_strdup(sections, source), .line = line};
	if (section->name == NULL || section->source == NULL)
		return NULL;
	sections->count++;
	return section;
}

struct config_entry *config_section_entry(const struct config_section *section, const char *key)
{
	return section != NULL ? find_entry(section->entries, section->count, key) : NULL;
}

const char *config_section_value(const struct config_section *section, const char *key)
{
	const struct config_entry *entry = config_section_entry(section, key);

	return entry != NULL ? entry->value : NULL;
}

int config_section_set(struct config_sections *sections, struct config_section *section, const char *key,
                       const char *value, int line)
{
	struct config_entry *entry = find_entry(section->entries, section->count, key);
	struct config_entry *entries;

	if (entry == NULL) {
		entries = talloc_realloc(sections, section->entries, struct config_entry,
		                         (unsigned int)section->count + 1);
		if (entries == NULL)
			return -1;
		section->entries = entries;
		entry = &entries[section->count];
		entry->key = talloc_strdup(sections, key);
		if (entry->key == NULL)
			return -1;
		section->count++;
	}
	entry->line = line;
	entry->value = talloc_strdup(sections, value);
	return entry->value != NULL ? 0 : -1;
}

int config_sections_check(const struct config_sections *sections, const char *const names[], size_t count,
                          FILE *complaints)
{
	int result = 0;

	for (size_t i = 0; sections != NULL && i < sections->count; i++) {
		const struct config_section *section = &sections->all[i];
		const char *nearest = config_names_section(section->name, names, count);

		if (nearest != NULL && strcmp(nearest, section->name) == 0)
			continue;
		result = -1;
		(void)fputs(section->source, complaints);
		if (section->line > 0)
			(void)fprintf(complaints, ":%d", section->line);
		(void)fprintf(complaints, ": there is no section [%s]", section->name);
		if (nearest != NULL)
			(void)fprintf(complaints, "; did you mean [%s]?\n", nearest);
		else
			(void)fputs("; --dump shows all that there are\n", complaints);
	}
	return result;
}

static bool is_secret(const char *key)
{
	static const char *const words[] = {"password", "secret", "token"};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strstr(key, words[i]) != NULL)
			return true;
	}
	return false;
}

void config_sections_print(const struct config_sections *sections, FILE *out)
{
	for (size_t i = 0; sections != NULL && i < sections->count; i++) {
		const struct config_section *section = &sections->all[i];

		(void)fprintf(out, "\n[%s]\n", section->name);
		for (size_t at = 0; at < section->count; at++) {
			const struct config_entry *entry = &section->entries[at];

			if (is_secret(entry->key))
				(void)fprintf(out, "; %s is set\n", entry->key);
			else
				(void)fprintf(out, "%s = %s\n", entry->key, entry->value);
		}
	}
}
