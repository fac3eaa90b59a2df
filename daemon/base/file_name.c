/* Names of files: those that may be given to one, and those that clients tell. */
#include "base/file_name.h"

#include "base/utf8.h"

#include <string.h>

bool file_name_is_right(const char *name)
{
	return name != NULL && name[0] != '\0' && name[0] != '.' && strlen(name) <= FILE_NAME_MAX &&
	       strpbrk(name, "/\\") == NULL && utf8_is_printable(name);
}

void file_name_shown(const char *told, char out[FILE_NAME_MAX + 1])
{
	for (const char *at = told; *at != '\0'; at++) {
		if (*at == '/' || *at == '\\')
			told = at + 1;
	}
	utf8_clean(told, out, FILE_NAME_MAX + 1);
}
