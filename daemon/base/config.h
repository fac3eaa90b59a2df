/* Reading the configuration: a file, then -o SECTION.KEY=VALUE over it. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/settings.h"

#include <stddef.h>
#include <stdio.h>
#include <talloc.h>

#define CONFIG_DEFAULT_PATH "/etc/onesession/onesession.conf"

struct config_source {
	const char *path;             /* NULL: CONFIG_DEFAULT_PATH if it is there, else only the defaults */
	const char *const *overrides; /* "SECTION.KEY=VALUE", later ones win */
	size_t override_count;
};

/*
 * Fill *settings; strings are allocated on `ctx`. All that is wrong is written to `complaints`, a line each:
 * "file:line: section.key: what was wrong, what would be right". Returns 0, or -1 when anything was wrong
 * (*settings must not be used then). Sections that are none of the daemon's are taken when there are modules:
 * config_sections_check() is for when their names are known.
 */
int config_load(TALLOC_CTX *ctx, const struct config_source *source, struct settings *settings, FILE *complaints);

/*
 * Every key with its value in force, as a configuration file that gives the same settings; but of a module's key that
 * is called a password, secret or token the value is left out.
 */
void config_dump(const struct settings *settings, FILE *out);

/* The sample configuration: every key, commented out, with its help, range and default. */
void config_sample(FILE *out);

/*
 * Give *next the values that `current` has for the options that only a restart changes, and call `tell` for each of
 * them that was to change. Strings are copied to `ctx`. Returns 0, or -1 when out of memory.
 */
int config_keep_fixed(TALLOC_CTX *ctx, struct settings *next, const struct settings *current,
                      void (*tell)(const char *section, const char *key));

/* Calls `tell`, with a sentence, for each thing that is allowed but hardly meant. */
void config_warnings(const struct settings *settings, void (*tell)(const char *doubt));

#endif
