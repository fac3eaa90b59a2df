/* Authorization (RFC 9110, 11.6.2): the credentials of the scheme Bearer (RFC 6750). */
#ifndef HTTP_AUTHORIZATION_H
#define HTTP_AUTHORIZATION_H

#include "http/inspection.h"

#include <stdbool.h>

/* What stands behind the scheme, whose case does not matter; its form is not looked at. False: it is another scheme. */
bool authorization_bearer(struct fcgi_text field, struct fcgi_text *credentials);

#endif
