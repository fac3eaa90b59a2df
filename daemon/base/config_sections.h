/* Sections of the configuration that are modules' own: their keys are theirs, and are kept as text. */
#ifndef BASE_CONFIG_SECTIONS_H
#define BASE_CONFIG_SECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <talloc.h>

/* The size of a module's name with the NUL at its end. */
#define MODULE_NAME_SIZE 32

struct config_entry {
	const char *key;
	const char *value;
	int line; /* 0: a -o */
};

struct config_section {
	const char *name;
	const char *source; /* the file, or "-o" */
	int line;           /* of its first header; 0: a -o */
	size_t count;
	struct config_entry *entries;
};

struct config_sections {
	size_t count;
	struct config_section *all;
};

/* Can a module, and so its section, have this name: [a-z][a-z0-9_]{0,30}? */
bool config_section_can_be(const char *name);

/* The section of that name; NULL when there is none, also when `sections` is NULL. */
struct config_section *config_sections_find(const struct config_sections *sections, const char *name);

/* The same, made when it is not there yet. NULL when out of memory. */
struct config_section *config_sections_get(struct config_sections *sections, const char *name, const char *source,
                                           int line);

/* Its value; NULL when the key is not there, also when `section` is NULL. */
const char *config_section_value(const struct config_section *section, const char *key);

/* The entry of that key; NULL when there is none. */
struct config_entry *config_section_entry(const struct config_section *section, const char *key);

/* Add a key that is not there yet, or give one that is there another value. Returns 0, or -1: out of memory. */
int config_section_set(struct config_sections *sections, struct config_section *section, const char *key,
                       const char *value, int line);

/*
 * Complain of each section whose name is none of `names`, with its file and line and the nearest name. Returns 0, or -1
 * when there is one.
 */
int config_sections_check(const struct config_sections *sections, const char *const names[], size_t count,
                          FILE *complaints);

/* All of them, as a file has them; of a key that is called a password, secret or token the value is left out. */
void config_sections_print(const struct config_sections *sections, FILE *out);

#endif
