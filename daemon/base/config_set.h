/* Setting keys of the configuration, and complaints about what is wrong with them. */
#ifndef BASE_CONFIG_SET_H
#define BASE_CONFIG_SET_H

#include "base/config_sections.h"
#include "base/options.h"
#include "base/settings.h"

#include <stdbool.h>
#include <stdio.h>
#include <talloc.h>

/* A longer value is shown only in part. */
#define CONFIG_SHOWN_SIZE 100

/* Settings while they are read from one source after the other. */
struct config_set {
	TALLOC_CTX *ctx;     /* of the settings */
	TALLOC_CTX *scratch; /* of what is needed only while reading */
	struct settings *settings;
	FILE *complaints;
	bool failed;
	const char *source; /* what complaints begin with: a file's path, or a -o */
	int line;           /* of the file; 0: not reading a file */
	int *set_at;        /* for each option: the line of the file that set it, 0: none has */
};

/* Begin a complaint about what is being read; the caller ends the line. */
FILE *config_complain(struct config_set *set);

/* The same about a key, which a -o has named already. */
FILE *config_complain_key(struct config_set *set, const char *section, const char *key);

void config_complain_memory(struct config_set *set);

/* There is no such key. */
void config_complain_unknown(struct config_set *set, const char *section, const char *key);

/* Take a module's own key: it is not there yet, or `replaces` it. Or complain. */
void config_set_module_value(struct config_set *set, const char *section, const char *key, const char *value,
                             bool replaces);

/* Take `value` for the option, or complain. */
void config_set_value(struct config_set *set, const struct option *option, const char *value);

#endif
