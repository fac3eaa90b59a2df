/* The sections and keys that there are, by their likeness to one that there is not. */
#ifndef BASE_CONFIG_NAMES_H
#define BASE_CONFIG_NAMES_H

#include "base/options.h"

/* The section of that name, or else the one that was probably meant; NULL when none is like it. */
const char *config_names_section(const char *section);

/* The option that was probably meant; NULL when none is like it. */
const struct option *config_names_option(const char *section, const char *key);

#endif
