/* The names of folders that lie beside a module. */
#include "base/module_folder.h"

#include "base/utf8.h"

#include <string.h>

bool module_folder_can_be(const char *name)
{
	return name[0] != '\0' && name[0] != '/' && strstr(name, "..") == NULL && strlen(name) < MODULE_FOLDER_SIZE &&
	       utf8_is_valid(name);
}
