/* Where a sign-in page may send people afterwards. */
#ifndef HTTP_NEXT_H
#define HTTP_NEXT_H

#include <stdbool.h>

/*
 * True when `target` (may be NULL) is a path of this site, however a browser may read it: one slash and then
 * neither a second slash nor, anywhere, a backslash or a control character. The measure is the list that Django's
 * url_has_allowed_host_and_scheme refuses; full URLs, even of this site, are refused too.
 */
bool next_is_safe(const char *target);

#endif
