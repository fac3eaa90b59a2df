/* The names of folders that lie beside a module. */
#ifndef BASE_MODULE_FOLDER_H
#define BASE_MODULE_FOLDER_H

#include <stdbool.h>

/* The size of such a name with the NUL at its end. */
#define MODULE_FOLDER_SIZE 128

/* Can a folder beside a module have this name? It leads nowhere else. */
bool module_folder_can_be(const char *name);

#endif
