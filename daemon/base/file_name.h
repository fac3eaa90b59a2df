/* Names of files: those that may be given to one, and those that clients tell. */
#ifndef BASE_FILE_NAME_H
#define BASE_FILE_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* As long as file systems take it (NAME_MAX). */
#define FILE_NAME_MAX 255

/*
 * Can a file of ours have that name? It is UTF-8 of 1 to 255 bytes, without slash, backslash and control characters,
 * and does not begin with a dot. NULL, which a module may have got for the name, is none.
 */
bool file_name_is_right(const char *name);

/*
 * What a client calls a file, to be shown: the last part of its path, whichever slashes that has, with '?' for control
 * characters and for what is not UTF-8, and no more than 255 bytes of it.
 */
void file_name_shown(const char *told, char out[FILE_NAME_MAX + 1]);

#endif
