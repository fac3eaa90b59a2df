/* A configuration file: INI, read by inih; sections, lines and values that go on in the next line. */
#ifndef BASE_CONFIG_FILE_H
#define BASE_CONFIG_FILE_H

#include "base/config_set.h"

/* Set what `file`, whose path is set->source, says; complains about all that is wrong with it. */
void config_file_read(struct config_set *set, FILE *file);

#endif
