/* The sections and keys that there are, by their likeness to one that there is not. */
#ifndef BASE_CONFIG_NAMES_H
#define BASE_CONFIG_NAMES_H

#include "base/options.h"

/*
 * The daemon's own section of that name or the one of `others`, or else the one that was probably meant; NULL when none
 * is like it.
 */
const char *config_names_section(const char *section, const char *const others[], size_t count);

/* The option that was probably meant; NULL when none is like it. */
const struct option *config_names_option(const char *section, const char *key);

#endif
